"""What must not be: each gives one clear line, and leaves everything as it was."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from cli_scene import (
    FIRST,
    OBJECTS,
    SECOND,
    Desk,
    Regions,
    click,
    files_in,
    labels_of,
    run,
)

from napari_sam.labels import LabelStore

OK = {"points": [click(FIRST)]}


def error_of(captured: pytest.CaptureFixture[str]) -> str:
    """The one line that stderr has to be."""
    lines = captured.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("napari-sam: error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"points": [[500, 20, 1]]}, "outside the image"),
        ({"points": [[-1, 20, 1]]}, "outside the image"),
        ({"box": [300, 300, 310, 310]}, "outside the image"),
        ({"points": [[float("nan"), 20, 1]]}, "finite coordinates"),
        ({"box": [float("nan"), 0, 10, 10]}, "finite sides"),
        ({"box": [10, 10, 10, 30]}, "empty or inverted"),
        ({"box": [30, 10, 10, 30]}, "empty or inverted"),
        ({"plane": [3], "points": [click(FIRST)]}, "needs no index"),
        ({"points": [[20, 20, 0]]}, "needs a point with label 1"),
        ({"points": [[20, 20, 2]]}, "needs label 1"),
        ({"id": 0, "points": [[20, 20, 1]]}, "needs a whole number from 1"),
    ],
)
def test_a_prompt_that_cannot_be_stops_everything_before_it_begins(
    desk: Desk,
    model: Regions,
    capsys: pytest.CaptureFixture[str],
    bad: dict[str, Any],
    words: str,
) -> None:
    desk.ask([OK, bad])
    before = files_in(desk.folder)
    assert desk.segment() == 1
    line = error_of(capsys)
    assert words in line
    assert "objects[1]" in line
    assert files_in(desk.folder) == before
    assert model.loads == 0


def test_two_objects_with_one_id_are_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.ask([{"id": 4, **OK}, {"id": 4, "points": [click(SECOND)]}])
    assert desk.segment() == 1
    assert "4 came more than once" in error_of(capsys)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"objects": [\n {"id": x}]}', "line 2, column 9"),
        ("", "line 1, column 1"),
        ("[1, 2]", 'list "objects"'),
        ('{"objects": []}', "names no objects"),
        ('{"objects": [{"clicks": []}]}', "unknown keys clicks"),
    ],
)
def test_a_prompts_file_that_is_none_is_told_with_the_place(
    desk: Desk, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    desk.prompts.write_text(text)
    assert desk.segment() == 1
    assert words in error_of(capsys)


def test_a_prompts_file_that_is_not_there_is_told(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.prompts.unlink()
    assert desk.segment() == 1
    assert "Cannot read prompts" in error_of(capsys)


def test_an_id_that_the_labels_have_is_refused_before_anything_happens(
    desk: Desk, model: Regions, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.segment()
    capsys.readouterr()
    desk.ask([{"id": 9, **OK}, {"id": 2, "points": [click(SECOND)]}])
    assert desk.segment("--rule", "overwrite") == 1
    assert "have objects with the id 2 already" in error_of(capsys)
    assert labels_of(desk.labels).max() == 3
    assert model.loads == 1


def test_an_unreadable_chunk_costs_only_the_objects_on_it(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    # Chunks are 64 pixels: this one is under a part of the second object.
    (desk.image / "c" / "2" / "0").write_bytes(b"damaged")
    overlay = desk.folder / "overlay.png"
    assert desk.segment("--overlay", overlay) == 1
    labels = labels_of(desk.labels)
    assert [labels[box.y0, box.x0] for box in OBJECTS] == [1, 0, 2]
    told = capsys.readouterr()
    assert "objects[1] (at y=165, x=40): " in told.err
    assert "parts of the image cannot be read and are gray, 1 in all" in told.err
    assert overlay.is_file()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a read-only folder")
def test_a_read_only_output_is_told_before_the_model_is_loaded(
    desk: Desk, model: Regions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.segment("--output", "/proc/labels.ome.zarr") == 1
    assert "needs a folder that can be written, /proc cannot" in error_of(capsys)
    assert model.loads == 0


def test_a_full_disk_keeps_what_was_accepted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.segment() == 0
    desk.ask([{"points": [click(SECOND)]}, {"points": [click(FIRST)]}])
    capsys.readouterr()
    monkeypatch.setattr(os, "fsync", full_after(1, os.fsync))
    assert desk.segment("--rule", "overwrite") == 1
    monkeypatch.undo()
    told = capsys.readouterr().err
    assert "No space left on device" in told
    labels = labels_of(desk.labels)
    assert [labels[box.y0, box.x0] for box in OBJECTS] == [1, 4, 3]


def test_an_object_whose_pixels_find_no_room_is_in_the_labels_once_there_is_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("napari_sam.labels.pyramid.write_block", full)
    assert desk.segment() == 1
    monkeypatch.undo()
    told = capsys.readouterr().err
    assert "objects[0] (at y=35, x=35): The change is safe in the journal" in told
    assert "2 more were not tried" in told
    with LabelStore.open(desk.labels):
        pass
    assert [labels_of(desk.labels)[box.y0, box.x0] for box in OBJECTS] == [1, 0, 0]


def full_after(count: int, fsync: Callable[[int], None]) -> Callable[[int], None]:
    """An fsync that fails once the disk is full, after some that do not."""
    done: list[int] = []

    def full(descriptor: int) -> None:
        done.append(descriptor)
        if len(done) > count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    return full


def test_an_output_that_is_the_input_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_in(desk.image)
    for options in ([], ["--overwrite"]):
        assert desk.segment("--output", desk.image, *options) == 1
        assert "overwrite their own image" in error_of(capsys)
    assert files_in(desk.image) == before


def test_an_output_inside_of_the_input_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.segment("--output", desk.image / "labels" / "nuclei") == 1
    assert "is inside of the zarr store" in error_of(capsys)


def test_an_output_that_holds_something_else_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_in(desk.folder)
    for output in (desk.folder, desk.prompts):
        assert desk.segment("--output", output, "--overwrite") == 1
        error_of(capsys)
    assert files_in(desk.folder) == before


def test_prompts_inside_of_the_labels_are_not_lost_with_them(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.segment()
    capsys.readouterr()
    kept = desk.labels / "prompts.json"
    desk.prompts.rename(kept)
    code = run(
        *("segment", desk.image, "--prompts", kept, "--output", desk.labels),
        "--overwrite",
    )
    assert code == 1
    assert "would be overwritten" in error_of(capsys)
    assert kept.is_file()


@pytest.mark.parametrize("axes", ["tz", "zx", "yyx", "q"])
def test_an_image_without_y_and_x_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str], axes: str
) -> None:
    assert desk.segment("--axes", axes) == 1
    error_of(capsys)
    assert not desk.labels.exists()


def test_an_image_with_a_single_axis_is_refused(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    array = zarr.create_array(str(tmp_path / "line.zarr"), shape=(9,), dtype="uint8")
    array[...] = np.arange(9)
    assert run("segment", tmp_path / "line.zarr", "--prompts", desk.prompts) == 1
    error_of(capsys)


def test_an_image_that_is_not_there_is_told(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", "nowhere.zarr", "--prompts", desk.prompts) == 1
    assert "nowhere.zarr" in error_of(capsys)


def test_a_level_that_does_not_exist_is_told(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.segment("--level", "7") == 1
    assert "got --level 7" in error_of(capsys)


def test_the_rule_merge_takes_no_ids(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.ask([{"id": 4, **OK}])
    assert desk.segment("--rule", "merge") == 1
    assert "--rule merge chooses ids itself" in error_of(capsys)


def test_labels_of_another_image_are_not_continued(
    desk: Desk, model: Regions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.segment()
    capsys.readouterr()
    other = zarr.create_array(str(tmp_path / "b.zarr"), shape=(90, 90), dtype="uint8")
    other[...] = 255
    code = run(
        *("segment", tmp_path / "b.zarr", "--prompts", desk.prompts),
        *("--output", desk.labels),
    )
    assert code == 1
    error_of(capsys)
    assert model.loads == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--channels", "0;1"],
        ["--contrast", "5"],
        ["--contrast", "9,3"],
        ["--contrast", "nan,3"],
        ["--rule", "steal"],
        ["--level", "-1"],
        ["--bogus"],
    ],
)
def test_options_that_cannot_be_read_are_usage_errors(
    desk: Desk, options: list[str]
) -> None:
    assert desk.segment(*options) == 2


def test_a_model_that_does_not_exist_leaves_nothing_behind(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_sam.errors import CheckpointError  # noqa: PLC0415

    def load(network: object) -> object:
        raise CheckpointError("There is no model named 'vit_x'.")

    monkeypatch.setattr("napari_sam.cli.segment_prompts.load_window_model", load)
    before = files_in(desk.folder)
    assert desk.segment() == 1
    assert files_in(desk.folder) == before


@pytest.mark.parametrize("name", ["labels.tif", "labels.PNG", "labels.geojson"])
def test_a_name_of_a_file_is_no_place_for_labels(
    desk: Desk, model: Regions, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    desk.ask([OK])
    before = files_in(desk.folder)
    assert desk.segment("--output", str(desk.folder / name)) == 1
    assert "Call it labels.ome.zarr" in error_of(capsys)
    assert files_in(desk.folder) == before
