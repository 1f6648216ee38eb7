"""Prompts on an image of any size -> candidates.

The image may be far larger than memory: the model is shown windows around what was
pointed at, and as many more as the object is large, never the whole plane.
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
from napari_sam.predictor.candidates import (
    Candidate,
    PredictorOptions,
    unmet_prompts,
)
from napari_sam.predictor.growing import DrawnObject, Grower
from napari_sam.predictor.object_predictor import ObjectPredictor
from napari_sam.predictor.placed_mask import PlacedMask
from napari_sam.predictor.plane_predictor import PlaneImage, PlanePredictor
from napari_sam.predictor.progress import ProgressCallback, WindowBudget
from napari_sam.predictor.search import ObjectSearch, in_canonical_order
from napari_sam.predictor.window_sizes import SizeEstimate, WindowSizes
from napari_sam.predictor.windows import from_level, steps_between
from napari_sam.prompts import Prompt, check_inside

MAX_PREVIEW_WINDOWS = 4
"""Windows that a preview looks at: as many as an answer that keeps up with a mouse."""


class ImagePredictor:
    """Answers prompts about the planes of one image.

    It keeps embeddings and nothing else. They decide no more than which of two
    windows that show the prompts equally well is looked at.

    All methods may be called from any thread, and by several at once, as far as model
    and image allow it; those that `load_model` and `open_image` give do. Two threads
    that need a window at the same moment may both encode it.

    Parameters
    ----------
    model
        Encodes windows and answers prompts about them.
    image
        As `open_image` gives it.
    cache
        Where embeddings are kept; in memory, up to 512 MiB, where none is given.
    options
        Bounds and habits.
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
        """Encodes windows and answers prompts about them."""
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
            Called with every window before it is looked at, in the calling thread. It
            may raise `Cancelled` to end the work; embeddings made so far are kept.

        Returns
        -------
        Best score first. The first one is followed beyond its window if need be; the
        others, up to two where one click leaves open what is meant, are as that window
        showed them. Empty where the model sees no object.

        Raises
        ------
        PromptError
            A prompt outside the image, a plane that does not exist, or nothing
            positive among the prompts.
        PredictorError
            A level that does not exist, or an object too large to be held.
        """
        budget = WindowBudget(self._options.max_windows, watch)
        return self._answer(prompts, plane, level, budget, previous)

    def preview(
        self,
        prompts: Sequence[Prompt],
        plane: tuple[int, ...] = (),
        *,
        previous: Candidate | None = None,
    ) -> tuple[Candidate, ...]:
        """What `predict` would show at once: nothing is read, nothing is encoded.

        Empty where no window that shows the prompts is in the cache's memory. What
        goes on beyond such windows comes back as far as they show it.
        """
        budget = WindowBudget(MAX_PREVIEW_WINDOWS, only_encoded=True)
        return self._answer(prompts, plane, None, budget, previous)

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
        """
        if candidate.complete:
            return candidate
        plane = self._checked_plane(candidate.plane)
        base = self._checked_level(level)
        budget = WindowBudget(self._options.max_windows, watch)
        ordered = self._checked_prompts(prompts)
        looker = self._looker(ordered, plane, budget, candidate.window_size)
        sighting = looker.as_sighting(candidate)
        if sighting is None:
            return candidate
        grown = Grower(looker, base, self._options).grow([sighting])
        return self._candidate(grown, looker, plane)

    def _answer(
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
        looker = self._settled(prompts, plane, base, budget, previous)
        grown = ObjectSearch(looker, base, self._options).run(previous)
        if grown is None:
            return ()
        grower = Grower(looker, base, self._options)
        found = [self._candidate(grown, looker, plane)]
        for sighting in grown.alternatives:
            placed = PlacedMask(sighting.mask_hw, sighting.window, sighting.level)
            whole = grower.is_whole(sighting)
            shown = DrawnObject(placed, sighting, (), whole)
            if self._fits(placed):
                found.append(self._candidate(shown, looker, plane))
        return tuple(found)

    def _settled(
        self,
        prompts: Sequence[Prompt],
        plane: tuple[int, ...],
        base: int,
        budget: WindowBudget,
        previous: Candidate | None,
    ) -> ObjectPredictor:
        """Who looks through windows of the size that suits the object."""
        ordered = self._checked_prompts(prompts)
        lookers: dict[int, ObjectPredictor] = {}

        def glimpse(size: int) -> SizeEstimate:
            lookers[size] = self._looker(ordered, plane, budget, size)
            return ObjectSearch(lookers[size], base, self._options).glimpse()

        sizes = WindowSizes.of(self._model)
        if previous is not None and previous.window_size in sizes.sides:
            size = previous.window_size
        else:
            size = sizes.for_prompts(ordered) or sizes.settle(glimpse)
        return lookers.get(size) or self._looker(ordered, plane, budget, size)

    def _looker(
        self,
        prompts: tuple[Prompt, ...],
        plane: tuple[int, ...],
        budget: WindowBudget,
        size: int,
    ) -> ObjectPredictor:
        asker = PlanePredictor(
            self._model, self._image, self._cache, plane, budget, size=size
        )
        return ObjectPredictor(asker, prompts, self._options)

    def _checked_prompts(self, prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
        check_inside(prompts, Box.of_shape(self._image.shape))
        return in_canonical_order(prompts)

    def _checked_plane(self, plane: tuple[int, ...]) -> tuple[int, ...]:
        stack = tuple(self._image.stack_shape)
        try:
            indices = tuple(index(place) for place in plane)
        except TypeError:  # not a tuple at all, or not of whole numbers
            indices = (-1,)
        if not indices and prod(stack) == 1:
            indices = (0,) * len(stack)
        fits = len(indices) == len(stack) and all(
            0 <= place < count for place, count in zip(indices, stack, strict=True)
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
        self, grown: DrawnObject, looker: ObjectPredictor, plane: tuple[int, ...]
    ) -> Candidate:
        placed = self._at_level_0(grown.placed)
        sighting = grown.sighting
        return Candidate(
            mask=placed.mask_hw,
            box=placed.box,
            score=sighting.score,
            plane=plane,
            level=grown.placed.level,
            complete=grown.complete,
            unmet=unmet_prompts(looker.prompts, placed.mask_hw, placed.box),
            window=sighting.window,
            window_level=sighting.level,
            window_size=looker.asker.size,
            logits_hw=sighting.logits_hw,
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
