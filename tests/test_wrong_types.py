"""Arguments of another type than needed are answered by an error that says which."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam.errors import (
    CheckpointError,
    ImageError,
    LabelError,
    MaskError,
    PredictorError,
    PromptError,
    SamError,
    SessionError,
)
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.model.checkpoints import load_model
from napari_sam.model.window_model import WindowMask
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt
from napari_sam.session import Session

STACK = np.zeros((2, 32, 32), dtype=np.uint8)
BOX = Box(0, 0, 2, 2)
SIDES: Any = (0, 0, 2, 2)
MASK = np.ones((2, 2), dtype=bool)
CLICK = Click(1, 1)


class EverythingModel:
    """Answers that all of a window is the object."""

    window_size = 32
    fingerprint = "everything"

    def encode(self, pixels_hwc: Any) -> Any:
        return pixels_hwc.shape[:2]

    def predict(self, embedding: Any, prompts: Any) -> list[WindowMask]:
        return [WindowMask(np.ones(embedding, dtype=bool), 0.5, None)]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session(STACK, tmp_path / "labels.ome.zarr", EverythingModel()) as opened:
        yield opened


@pytest.mark.parametrize(
    ("build", "error", "says"),
    [
        (lambda: Click("a", 1), PromptError, "finite coordinates, got y='a'"),
        (lambda: Click(1, None), PromptError, "x=None"),
        (lambda: BoxPrompt("a", 1, 2, 3), PromptError, "finite sides"),
        (lambda: MaskPrompt(BOX, [[1, 1], [1, 1]]), PromptError, "got Box and list"),
        (lambda: MaskPrompt(SIDES, MASK * 1.0), PromptError, "got tuple and ndarray"),
        (lambda: MaskPrompt(BOX, MASK.astype(str)), PromptError, "of numbers"),
        (lambda: MaskPrompt.from_mask(MASK, SIDES), PromptError, "got tuple"),
        (lambda: open_image(STACK, axes=5), ImageError, "one string .* got 5"),
        (lambda: open_image(STACK, axes=["z", "y", "x"]), ImageError, "one string"),
        (lambda: open_image(None), ImageError, "got NoneType"),
        (lambda: load_model(None), CheckpointError, "the path of a file, got None"),
        (lambda: load_model(5), CheckpointError, "got 5"),
        (lambda: open_image(STACK).read(0, 0, BOX), ImageError, "got 0"),
        (lambda: open_image(STACK).read((0,), "a", BOX), ImageError, "got 'a'"),
        (lambda: open_image(STACK).read((0,), 0, SIDES), ImageError, "to be a Box"),
    ],
)
def test_what_cannot_be_built_says_what_was_needed(
    build: Callable[[], object], error: type[SamError], says: str
) -> None:
    with pytest.raises(error, match=says):
        build()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (([CLICK],), {"plane": 1}, PromptError, "in a tuple, .* got plane=1"),
        (([CLICK],), {"plane": None}, PromptError, "got plane=None"),
        (([CLICK],), {"plane": (0.5,)}, PromptError, r"got plane=\(0.5,\)"),
        (([CLICK],), {"plane": ("a",)}, PromptError, "got plane="),
        (([CLICK], (0,)), {"level": "a"}, PredictorError, "got level='a'"),
        ((5, (0,)), {}, PromptError, "a list of prompts, got 5"),
        ((CLICK, (0,)), {}, PromptError, r"a list, even of one: \[Click"),
    ],
)
def test_a_predictor_says_what_it_needs(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type, says: str
) -> None:
    predictor = ImagePredictor(EverythingModel(), open_image(STACK, axes="zyx"))
    assert predictor.predict([CLICK], (0,))
    with pytest.raises(error, match=says):
        predictor.predict(*arguments, **options)


@pytest.mark.parametrize(
    ("step", "error", "says"),
    [
        (lambda s: s.set_plane(1), ImageError, "got 1"),
        (lambda s: s.add(5), PromptError, "a Click, a BoxPrompt or a MaskPrompt"),
        (lambda s: s.remove("a"), SessionError, "got 'a'"),
        (lambda s: s.choose("a"), SessionError, "got 'a'"),
        (lambda s: s.merge_into("a"), LabelError, "whole number .* got 'a'"),
        (lambda s: s.accept(1.5), LabelError, "whole number .* got 1.5"),
        (lambda s: s.edit("a"), LabelError, "got 'a'"),
        (lambda s: s.edit(1, SIDES), LabelError, "A Box"),
        (lambda s: s.delete("a"), LabelError, "got 'a'"),
        (lambda s: s.paint(MASK * 1, SIDES), LabelError, "A Box"),
        (lambda s: s.paint(MASK * 1, BOX, 1), LabelError, "a tuple of 1 .* got 1"),
        (lambda s: s.add_objects(5), SessionError, "got 5"),
        (lambda s: s.add_objects([CLICK]), PromptError, r"\[Click"),
        (lambda s: s.labels.add(MASK, BOX, 1), LabelError, "a tuple of 1 .* got 1"),
        (lambda s: s.labels.add(MASK, SIDES, (0,)), LabelError, "A Box"),
        (lambda s: s.labels.add([[1]], BOX, (0,)), MaskError, "got list"),
        (lambda s: s.labels.label_at((0,), "a", 1), PromptError, "y='a'"),
        (lambda s: Session(STACK, 5, EverythingModel()), LabelError, "got 5"),
        (lambda s: Session(STACK, "x.zarr", 5), SessionError, "needs a model"),
    ],
)
def test_a_session_says_what_it_needs_and_nothing_changes(
    session: Session, step: Callable[[Session], object], error: type, says: str
) -> None:
    session.add(CLICK)
    entries = len(session.labels.journal)
    with pytest.raises(error, match=says):
        step(session)
    assert session.prompts == (CLICK,)
    assert len(session.labels.journal) == entries
