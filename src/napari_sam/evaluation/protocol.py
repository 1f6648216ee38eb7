"""The prompts for each object, and what is noted of the predictions.

"Segment Anything" (2023), section 7.1: one click, then up to eight that correct the
best-scored mask so far; and a box, as tight as the object and as a hurried annotator
draws it. All of it goes through `ImagePredictor`, as a user's prompts do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import regionprops

from napari_sam.errors import EvaluationError
from napari_sam.evaluation.clicks import (
    background_clicks,
    correcting_click,
    first_click,
    jittered_box,
)
from napari_sam.evaluation.datasets import AnnotatedPlane
from napari_sam.evaluation.measures import boundary_f_score, overlap
from napari_sam.geometry import Box
from napari_sam.masks import Mask, run_lengths
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor import Candidate, ImagePredictor, PlacedMask
from napari_sam.prompts import BoxPrompt, Click, Prompt

BACKGROUND_CLICKS = 4
"""Clicks on nothing, at most, in each plane."""

MARGIN = 32
"""Pixels around an object and its mask in which outlines are compared."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How objects are prompted.

    Parameters
    ----------
    clicks
        For each object, the first one included.
    random_point
        Whether the first click is any pixel of the object instead of its centre.
    seed
        Of random clicks, of boxes and of which objects are taken.
    smallest
        Objects of fewer pixels are left out.
    objects
        Taken from each plane at most, drawn at random; None: all.
    """

    clicks: int = 9
    random_point: bool = False
    seed: int = 0
    smallest: int = 16
    objects: int | None = None

    def __post_init__(self) -> None:
        if self.clicks < 1 or self.smallest < 1 or (self.objects or 1) < 1:
            raise EvaluationError(
                "An evaluation needs at least one click, one pixel and one object, got "
                f"clicks={self.clicks}, smallest={self.smallest}, "
                f"objects={self.objects}."
            )


@dataclass(frozen=True, slots=True)
class PromptScores:
    """How good the masks of a prompt are.

    Parameters
    ----------
    iou
        Of the best-scored mask; 0 where nothing was found.
    best
        Of the best of all masks that were offered.
    score
        The IoU that the model predicts, 0..1.
    boundary
        F-score of the best-scored mask's outline, at 2 pixels.
    """

    iou: float
    best: float
    score: float
    boundary: float


@dataclass(frozen=True, slots=True)
class EvaluatedObject:
    """One object of one plane.

    Parameters
    ----------
    label, area, box
        Its id, pixels, and box in the plane as (y0, x0, y1, x1).
    points
        (y, x, 1 or 0) of each click that was needed.
    clicks
        The scores after 1, 2, ... clicks; where nothing was left to correct, the last
        one counts on.
    tight_box, loose_box
        The scores of a box.
    shown
        The first click's mask: (y0, x0, y1, x1), and run lengths over that box.
    """

    label: int
    area: int
    box: tuple[int, int, int, int]
    points: tuple[tuple[int, int, int], ...]
    clicks: tuple[PromptScores, ...]
    tight_box: PromptScores
    loose_box: PromptScores
    shown: tuple[tuple[int, int, int, int], tuple[int, ...]] | None


@dataclass(frozen=True, slots=True)
class Timings:
    """What the model did in a plane, and how long that took."""

    encodes: int
    encode_s: float
    decodes: int
    decode_s: float


@dataclass(frozen=True, slots=True)
class PlaneResult:
    """All objects of one plane."""

    dataset: str
    name: str
    plane: tuple[int, ...]
    objects: tuple[EvaluatedObject, ...]
    background_scores: tuple[float, ...]  # of clicks on nothing; 0: nothing was found
    timings: Timings


@dataclass
class TimedModel:
    """A model whose work is counted; all else of it is passed on."""

    model: WindowModel
    encodes: int = 0
    encode_s: float = 0.0
    decodes: int = 0
    decode_s: float = 0.0

    @property
    def window_size(self) -> int:
        """That of the model."""
        return self.model.window_size

    @property
    def fingerprint(self) -> str:
        """That of the model."""
        return self.model.fingerprint

    def __getattr__(self, name: str) -> Any:
        if name in ("window_sizes", "object_share"):
            return getattr(self.model, name)
        raise AttributeError(name)

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> Any:
        """Encode, and count."""
        start_s = time.perf_counter()
        embedding = self.model.encode(pixels_hwc)
        self.encode_s += time.perf_counter() - start_s
        self.encodes += 1
        return embedding

    def predict(self, embedding: Any, prompts: Sequence[Prompt]) -> Any:
        """Predict, and count."""
        start_s = time.perf_counter()
        answers = self.model.predict(embedding, prompts)
        self.decode_s += time.perf_counter() - start_s
        self.decodes += 1
        return answers

    @property
    def timings(self) -> Timings:
        """What was counted so far."""
        return Timings(self.encodes, self.encode_s, self.decodes, self.decode_s)


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceObject:
    """An object as it was annotated."""

    label: int
    mask: Mask  # over `box`
    box: Box

    def around(self, candidate: Candidate | None, shape: tuple[int, int]) -> Box:
        """A box with the object, a mask of it, and some margin."""
        boxes = [self.box] if candidate is None else [self.box, candidate.box]
        return Box.around(boxes).grow(MARGIN).clip(Box.of_shape(shape))

    def over(self, box: Box) -> Mask:
        """The object's mask over another box."""
        return PlacedMask(self.mask, self.box, level=0).read(box)


def evaluate_plane(
    plane: AnnotatedPlane, model: WindowModel, options: EvaluationOptions
) -> PlaneResult:
    """Prompt for every object of a plane."""
    labels_hw = plane.read_labels()
    timed = TimedModel(model)
    # Every plane has its own numbers, whichever process evaluates it, in any order.
    name = [*f"{plane.dataset}/{plane.name}".encode(), *plane.plane]
    rng = np.random.default_rng([options.seed, *name])
    with plane.open_image() as image:
        annotator = SimulatedAnnotator(
            ImagePredictor(timed, image), plane.plane, image.shape, options, rng
        )
        wanted = list(_objects_of(labels_hw, options, rng))
        objects = tuple(annotator.annotate(one) for one in wanted)
        scores = annotator.click_beside(labels_hw)
    return PlaneResult(
        plane.dataset, plane.name, plane.plane, objects, scores, timed.timings
    )


@dataclass(frozen=True, slots=True)
class SimulatedAnnotator:
    """Prompts for the objects of one plane, as a user would."""

    predictor: ImagePredictor
    plane: tuple[int, ...]
    shape: tuple[int, int]
    options: EvaluationOptions
    rng: np.random.Generator

    def annotate(self, wanted: ReferenceObject) -> EvaluatedObject:
        """Click, correct, and draw boxes."""
        points, answers, first = self._click_through(wanted)
        loose = jittered_box(wanted.box, self.shape, self.rng)
        shown = None
        if first is not None:
            shown = (_corners(first.box), tuple(run_lengths(first.mask)))
        return EvaluatedObject(
            wanted.label,
            int(np.count_nonzero(wanted.mask)),
            _corners(wanted.box),
            points,
            answers,
            self._box(wanted, wanted.box),
            self._box(wanted, loose),
            shown,
        )

    def click_beside(self, labels_hw: NDArray[np.integer[Any]]) -> tuple[float, ...]:
        """Scores of clicks on nothing, far from every object."""
        areas = np.unique(labels_hw[labels_hw > 0], return_counts=True)[1]
        margin = float(np.sqrt(np.median(areas) / np.pi)) if areas.size else 0.0
        scores = []
        for row, column in background_clicks(labels_hw, BACKGROUND_CLICKS, margin):
            found = self.predictor.predict([Click(row, column)], self.plane)
            scores.append(found[0].score if found else 0.0)
        return tuple(scores)

    def _click_through(
        self, wanted: ReferenceObject
    ) -> tuple[
        tuple[tuple[int, int, int], ...], tuple[PromptScores, ...], Candidate | None
    ]:
        rng = self.rng if self.options.random_point else None
        row, column = first_click(wanted.mask, rng)
        prompts = [Click(wanted.box.y0 + row, wanted.box.x0 + column)]
        found = self.predictor.predict(prompts, self.plane)
        first = found[0] if found else None
        answers = [self._judged(wanted, found)]
        while len(answers) < self.options.clicks:
            current = found[0] if found else None
            click = self._correction(wanted, current)
            if click is None:
                answers.append(answers[-1])
                continue
            prompts.append(click)
            found = self.predictor.predict(prompts, self.plane, previous=current)
            answers.append(self._judged(wanted, found))
        points = tuple((*click.pixel, int(click.positive)) for click in prompts)
        return points, tuple(answers), first

    def _correction(
        self, wanted: ReferenceObject, current: Candidate | None
    ) -> Click | None:
        box = wanted.around(current, self.shape)
        shown = np.zeros(box.shape, dtype=bool)
        if current is not None:
            shown = PlacedMask(current.mask, current.box, level=0).read(box)
        click = correcting_click(shown, wanted.over(box))
        if click is None:
            return None
        row, column, positive = click
        return Click(box.y0 + row, box.x0 + column, positive)

    def _box(self, wanted: ReferenceObject, box: Box) -> PromptScores:
        prompt = BoxPrompt.from_box(box)
        return self._judged(wanted, self.predictor.predict([prompt], self.plane))

    def _judged(
        self, wanted: ReferenceObject, found: Sequence[Candidate]
    ) -> PromptScores:
        if not found:
            return PromptScores(0.0, 0.0, 0.0, 0.0)
        ious = [overlap(c.mask, c.box, wanted.mask, wanted.box) for c in found]
        box = wanted.around(found[0], self.shape)
        shown = PlacedMask(found[0].mask, found[0].box, level=0).read(box)
        boundary = boundary_f_score(shown, wanted.over(box))
        return PromptScores(ious[0], max(ious), found[0].score, boundary)


def _objects_of(
    labels_hw: NDArray[np.integer[Any]],
    options: EvaluationOptions,
    rng: np.random.Generator,
) -> Iterator[ReferenceObject]:
    ids, compact = np.unique(labels_hw, return_inverse=True)
    compact_hw = compact.reshape(labels_hw.shape) + int(ids[0] != 0)
    regions = [
        region
        for region in regionprops(compact_hw)  # type: ignore[no-untyped-call]
        if region.area >= options.smallest
    ]
    if options.objects is not None and len(regions) > options.objects:
        chosen = rng.choice(len(regions), options.objects, replace=False)
        regions = [regions[index] for index in sorted(chosen)]
    for region in regions:
        label = int(ids[region.label - int(ids[0] != 0)])
        yield ReferenceObject(label, region.image, Box(*(int(n) for n in region.bbox)))


def _corners(box: Box) -> tuple[int, int, int, int]:
    return box.y0, box.x0, box.y1, box.x1
