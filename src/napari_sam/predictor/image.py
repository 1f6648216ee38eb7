"""Prompts on an image of any size -> candidates.

The image may be far larger than memory: the model is shown windows around what was
pointed at, and as many more as the object is large, never the whole plane. Each
prediction is made by three, and what they hand on are values:

    PlanePredictor    windows -> masks: reads, encodes and predicts, within a budget
    ObjectPredictor   those masks -> what a window shows of the object pointed at
    Grower            what one window shows -> the whole object, finely drawn
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from operator import index

from napari_sam.errors import ImageError, PredictorError, PromptError
from napari_sam.geometry import Box, is_index
from napari_sam.masks import bounding_box
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.candidates import Candidate, PredictorOptions
from napari_sam.predictor.growing import DrawnObject, Grower
from napari_sam.predictor.object_predictor import ObjectPredictor, unmet_prompts
from napari_sam.predictor.placed_mask import PlacedMask
from napari_sam.predictor.plane_predictor import PlaneImage, PlanePredictor
from napari_sam.predictor.progress import ProgressCallback, WindowBudget
from napari_sam.predictor.search import (
    estimate_size,
    find_object,
    in_canonical_order,
)
from napari_sam.predictor.window_sizes import WindowSizes
from napari_sam.predictor.windows import Window, from_level, steps_between
from napari_sam.prompts import Prompt, check_inside

MAX_PREVIEW_WINDOWS = 4
"""Windows that a preview may use, so that it keeps up with a mouse."""


class ImagePredictor:
    """Predicts objects from prompts on the planes of one image.

    It keeps embeddings and nothing else. They decide no more than which of two
    windows that show the prompts equally well is used.

    All methods may be called from any thread, and by several at once, as far as model
    and image allow it; those that `load_model` and `open_image` give do. Two threads
    that need a window at the same moment may both encode it.

    Parameters
    ----------
    model
        Encodes windows and predicts masks in them.
    image
        As `open_image` gives it.
    cache
        Where embeddings are kept; in memory, up to 512 MiB, where none is given.
    options
        Bounds and habits.

    Raises
    ------
    ImageError
        The image is none of `open_image`.
    """

    def __init__(
        self,
        model: WindowModel,
        image: PlaneImage,
        *,
        cache: EmbeddingCache | None = None,
        options: PredictorOptions | None = None,
    ) -> None:
        if not hasattr(image, "stack_shape"):
            raise ImageError(
                "An image of open_image is needed, which takes paths, URLs and arrays; "
                f"got {type(image).__name__}. Use ImagePredictor(model, "
                "open_image(...))."
            )
        self._model = model
        self._image = image
        self._cache = EmbeddingCache() if cache is None else cache
        self._options = PredictorOptions() if options is None else options

    @property
    def model(self) -> WindowModel:
        """Encodes windows and predicts masks in them."""
        return self._model

    def predict(
        self,
        prompts: Sequence[Prompt],
        plane: tuple[int, ...] = (),
        *,
        level: int | None = None,
        previous: Candidate | None = None,
        watch: ProgressCallback | None = None,
    ) -> tuple[Candidate, ...]:
        """Masks of the object that the prompts point at.

        Parameters
        ----------
        prompts
            Clicks, boxes and masks in pixels of level 0, in any order; at least one
            that is not a negative click.
        plane
            Indices of the axes before y, x; may be left out where there is one plane.
        level
            The finest level to read, instead of `finest_level` of the options.
        previous
            The candidate to refine. Where the prompts fit in the window that decided
            it, its logits go along as one more prompt.
        watch
            Called with every window before the model predicts in it, in the calling
            thread. It may raise `Cancelled` to end the work; embeddings made so far are
            kept.

        Returns
        -------
        tuple of Candidate
            Best score first. The first one is followed beyond its window if need be;
            the others, up to two where one click leaves open what is meant, are as that
            window showed them. Empty where the model sees no object.

        Raises
        ------
        PromptError
            A prompt outside the image, a plane that does not exist, or nothing
            positive among the prompts.
        PredictorError
            A level that does not exist, or an object too large to be held.
        """
        budget = WindowBudget(self._options.max_windows, watch)
        return self._predict(prompts, plane, level, budget, previous)

    def preview(
        self,
        prompts: Sequence[Prompt],
        plane: tuple[int, ...] = (),
        *,
        previous: Candidate | None = None,
    ) -> tuple[Candidate, ...]:
        """What `predict` would show at once: nothing is read, nothing is encoded.

        Parameters
        ----------
        prompts, plane, previous
            As given to `predict`.

        Returns
        -------
        tuple of Candidate
            Empty where no window that shows the prompts is in the cache's memory. What
            goes on beyond such windows comes back as far as they show it.
        """
        budget = WindowBudget(MAX_PREVIEW_WINDOWS, only_encoded=True)
        return self._predict(prompts, plane, None, budget, previous)

    def complete(
        self,
        candidate: Candidate,
        prompts: Sequence[Prompt] = (),
        *,
        level: int | None = None,
        watch: ProgressCallback | None = None,
    ) -> Candidate:
        """Follow a candidate beyond its window, and draw its outline finely.

        For an alternative that the user chose.

        Parameters
        ----------
        candidate
            As `predict` gave it; one that is complete is returned as it is.
        prompts
            Those it was predicted from.
        level, watch
            As given to `predict`.

        Returns
        -------
        Candidate
            The whole object, as far as the options allow.
        """
        if candidate.complete:
            return candidate
        plane = self._checked_plane(candidate.plane)
        base = self._checked_level(level)
        budget = WindowBudget(self._options.max_windows, watch)
        ordered = self._checked_prompts(prompts)
        grower = self._grower(ordered, plane, base, budget)
        window = Window(candidate.window_level, candidate.window, candidate.window_size)
        shown = grower.predictor.as_window_candidate(candidate, window)
        if shown is None:
            return candidate
        return self._candidate(grower.grow([shown]), ordered, plane)

    def _predict(
        self,
        prompts: Sequence[Prompt],
        plane: tuple[int, ...],
        level: int | None,
        budget: WindowBudget,
        previous: Candidate | None,
    ) -> tuple[Candidate, ...]:
        plane = self._checked_plane(plane)
        base = self._checked_level(level)
        if previous is not None and previous.plane != plane:
            previous = None
        grower = self._grower(self._checked_prompts(prompts), plane, base, budget)
        size = self._window_size(grower, previous)
        drawn = find_object(grower, size, previous)
        if drawn is None:
            return ()
        found = [self._candidate(drawn, grower.predictor.prompts, plane)]
        for other in drawn.alternatives:
            placed = PlacedMask(other.mask_hw, other.window.box, other.window.level)
            shown = DrawnObject(placed, other, (), grower.is_whole(other))
            if self._fits(placed):
                found.append(self._candidate(shown, grower.predictor.prompts, plane))
        return tuple(found)

    def _grower(
        self,
        prompts: tuple[Prompt, ...],
        plane: tuple[int, ...],
        base: int,
        budget: WindowBudget,
    ) -> Grower:
        """What draws one object: made anew for each prediction."""
        windows = PlanePredictor(self._model, self._image, self._cache, plane, budget)
        predictor = ObjectPredictor(windows, prompts, self._options)
        return Grower(predictor, base, self._options)

    def _window_size(self, grower: Grower, previous: Candidate | None) -> int:
        """The size of windows that suits the object."""
        sizes, predictor = WindowSizes.of(self._model), grower.predictor
        if previous is not None and previous.window_size in sizes.sides:
            return previous.window_size
        return sizes.for_prompts(predictor.prompts) or sizes.settle(
            lambda size: estimate_size(predictor, grower.base, size)
        )

    def _checked_prompts(self, prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
        check_inside(prompts, Box.of_shape(self._image.shape))
        return in_canonical_order(prompts)

    def _checked_plane(self, plane: tuple[int, ...]) -> tuple[int, ...]:
        stack = tuple(self._image.stack_shape)
        try:
            indices = tuple(index(value) for value in plane)
        except TypeError:  # not a tuple at all, or not of whole numbers
            indices = (-1,)
        if not indices and prod(stack) == 1:
            indices = (0,) * len(stack)
        fits = len(indices) == len(stack) and all(
            0 <= value < count for value, count in zip(indices, stack, strict=True)
        )
        if not fits:
            raise PromptError(
                f"A plane of this image needs {len(stack)} indices in a tuple, each at "
                f"least 0 and below {stack}, got plane={plane!r}."
            )
        self._image.check_plane(indices)
        return indices

    def _checked_level(self, level: int | None) -> int:
        count = len(self._image.levels)
        if level is None:
            level = self._options.finest_level
        if not is_index(level, count):
            raise PredictorError(
                f"The image has levels 0 to {count - 1}, got level={level!r}."
            )
        return level

    def _fits(self, placed: PlacedMask) -> bool:
        box = bounding_box(placed.mask_hw)
        level = self._image.levels[placed.level]
        return box is not None and (
            from_level(
                box.shift(placed.box.y0, placed.box.x0), level, self._image.shape
            ).area
            <= self._options.max_object_pixels
        )

    def _candidate(
        self, drawn: DrawnObject, prompts: tuple[Prompt, ...], plane: tuple[int, ...]
    ) -> Candidate:
        placed = self._at_level_0(drawn.placed)
        decisive = drawn.decisive
        return Candidate(
            mask=placed.mask_hw,
            box=placed.box,
            score=decisive.score,
            plane=plane,
            level=drawn.placed.level,
            complete=drawn.complete,
            unmet=unmet_prompts(prompts, placed.mask_hw, placed.box),
            window=decisive.window.box,
            window_level=decisive.window.level,
            window_size=decisive.window.size,
            logits_hw=decisive.logits_hw,
        )

    def _at_level_0(self, placed: PlacedMask) -> PlacedMask:
        levels = self._image.levels
        tight = placed.trimmed() or placed
        if tight.level > 0:
            level = levels[tight.level]
            box = from_level(tight.box, level, self._image.shape)
            steps = steps_between(levels, tight.level, 0)
            tight = PlacedMask(tight.sample(box, steps, level.shape), box, 0)
        return tight.trimmed() or tight
