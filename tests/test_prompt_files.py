"""Prompts on disk: out and in again, and every mistake is found where it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam.errors import PromptError
from napari_sam.geometry import Box
from napari_sam.prompt_files import (
    ObjectPrompts,
    parse_prompts,
    prompts_to_json,
    read_prompts,
    write_prompts,
)
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt

NUMBERS = st.floats(-1e6, 1e6)
CLICKS = st.builds(Click, NUMBERS, NUMBERS, st.booleans())
BOXES = st.builds(
    lambda y, x, h, w: BoxPrompt(y, x, y + h, x + w),
    *[NUMBERS] * 2,
    *[st.floats(0.5, 1e3)] * 2,
)
EXAMPLE = (
    '{"objects": [{"id": 1, "plane": [3], "points": [[120.5, 80.0, 1], '
    '[140.0, 95.0, 0]], "box": [100, 60, 180, 130]}]}'
)


@st.composite
def objects(draw: st.DrawFn) -> tuple[ObjectPrompts, ...]:
    ids = draw(st.lists(st.integers(1, 2**32 - 1), unique=True, max_size=4))
    return tuple(
        ObjectPrompts(
            (*draw(st.lists(CLICKS, max_size=4)), draw(BOXES)),
            tuple(draw(st.lists(st.integers(0, 99), max_size=2))),
            label_id,
        )
        for label_id in [*ids, None, None]
    )


@given(objects())
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, items: tuple[ObjectPrompts, ...]
) -> None:
    path = tmp_path_factory.mktemp("prompts") / "prompts.json"
    write_prompts(path, items)
    assert read_prompts(path) == items


@given(arrays(bool, (4, 6)).filter(np.any))
def test_a_mask_prompt_comes_back_as_its_mask(mask: np.ndarray) -> None:
    prompt = MaskPrompt.from_mask(mask, Box(2, 3, 6, 9))
    document = json.loads(json.dumps({"objects": [prompts_to_json([prompt])]}))
    (found,) = parse_prompts(document)[0].prompts
    assert isinstance(found, MaskPrompt)
    assert found.box == prompt.box
    np.testing.assert_array_equal(found.logits_hw, prompt.logits_hw)


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(EXAMPLE)
    (item,) = read_prompts(path)
    assert item == ObjectPrompts(
        (
            Click(120.5, 80),
            Click(140, 95, positive=False),
            BoxPrompt(100, 60, 180, 130),
        ),
        (3,),
        1,
    )


def test_a_byte_order_mark_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(EXAMPLE, encoding="utf-8-sig")
    assert len(read_prompts(path)) == 1


def test_numbers_of_numpy_can_be_kept() -> None:
    prompts = [
        Click(np.float32(1.5), np.int64(2)),
        BoxPrompt(*np.array([1, 2, 3, 4], dtype=np.float32)),
        MaskPrompt.from_mask(np.ones((1, 1), dtype=bool), Box(*np.array([1, 2, 2, 3]))),
    ]
    assert json.loads(json.dumps(prompts_to_json(prompts))) == {
        "points": [[1.5, 2.0, 1]],
        "box": [1.0, 2.0, 3.0, 4.0],
        "mask": {"box": [1, 2, 2, 3], "runs": [0, 1]},
    }


POINT = [[1, 2, 1]]
MASK = {"box": [0, 0, 2, 2], "runs": [1, 3]}


@pytest.mark.parametrize(
    ("item", "where"),
    [
        (3, r"objects\[1\] needs to be an object, got 3"),
        ({"point": POINT}, r"objects\[1\] has unknown keys point; known are box, id"),
        ({}, r"objects\[1\] needs a point with label 1"),
        ({"points": [[1, 2, 0]]}, r"objects\[1\] needs a point with label 1"),
        ({"points": 5}, r"objects\[1\]\.points needs a list"),
        ({"points": [[1, 2]]}, r"objects\[1\]\.points\[0\] needs 3 numbers"),
        ({"points": [*POINT, [1, 2, 2]]}, r"objects\[1\]\.points\[1\] needs label"),
        ({"points": [[1, None, 1]]}, r"points\[0\] needs 3 numbers .* \[1, null, 1\]"),
        ({"points": [[True, 2, 1]]}, r"points\[0\] needs 3 numbers"),
        ({"points": [[float("nan"), 2, 1]]}, r"points\[0\]: A click needs finite"),
        ({"points": [[10**400, 2, 1]]}, r"points\[0\] has a number beyond"),
        ({"box": [1, 2, 3]}, r"objects\[1\]\.box needs 4 numbers"),
        ({"box": [5, 5, 1, 1]}, r"objects\[1\]\.box: .* empty or inverted"),
        ({"box": [1, 1, 1, 5]}, r"objects\[1\]\.box: .* empty or inverted"),
        ({"box": [1, 1, float("inf"), 5]}, r"objects\[1\]\.box: .* finite"),
        ({"points": POINT, "plane": 3}, r"objects\[1\]\.plane needs a list of whole"),
        ({"points": POINT, "plane": [-1]}, r"objects\[1\]\.plane .* got \[-1\]"),
        ({"points": POINT, "plane": [1.5]}, r"objects\[1\]\.plane"),
        ({"points": POINT, "id": 0}, r"objects\[1\]\.id needs a whole number from 1"),
        ({"points": POINT, "id": "a"}, r'objects\[1\]\.id .* got "a"'),
        ({"points": POINT, "id": 2**32}, r"objects\[1\]\.id .* to 4294967295"),
        ({"points": POINT, "id": True}, r"objects\[1\]\.id"),
        ({"points": POINT, "id": 1}, "ids must differ between objects, but 1 came"),
        ({"mask": [1]}, r"objects\[1\]\.mask needs keys box and runs"),
        ({"mask": {**MASK, "runs": [1, 9]}}, r"objects\[1\]\.mask: .* add up to 4"),
        ({"mask": {**MASK, "runs": [10**30]}}, r"objects\[1\]\.mask: .* add up to 4"),
        ({"mask": {**MASK, "runs": [4]}}, r"mask: .* at least one pixel inside"),
        ({"mask": {**MASK, "runs": 4}}, r"objects\[1\]\.mask\.runs needs a list"),
        ({"mask": {**MASK, "box": [0]}}, r"objects\[1\]\.mask\.box needs 4 numbers"),
    ],
)
def test_a_mistake_in_an_object_says_where(
    tmp_path: Path, item: Any, where: str
) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"objects": [{"id": 1, "points": POINT}, item]}))
    with pytest.raises(PromptError, match=where) as caught:
        read_prompts(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"objects": [\n  {"points": [[1, 2 1]]}]}', "line 2, column 21"),
        ("", "line 1, column 1"),
        ('{"objects": [', "line 1"),
        ("[]", r'list "objects".* got \[\]'),
        ('{"objects": {}}', 'list "objects"'),
        ("null", "got null"),
        ("[" * 200_000, "beyond what can be read"),
        ('{"objects": [' + "1" * 5000 + "]}", "beyond what can be read"),
    ],
)
def test_a_mistake_in_the_file_says_where(
    tmp_path: Path, text: str, where: str
) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(text)
    with pytest.raises(PromptError, match=where):
        read_prompts(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"Cannot read prompts from .*absent"):
        read_prompts(tmp_path / "absent.json")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(PromptError, match=r"Cannot read prompts from .*binary"):
        read_prompts(binary)


def test_no_objects_are_no_mistake() -> None:
    assert parse_prompts({"objects": []}) == ()
