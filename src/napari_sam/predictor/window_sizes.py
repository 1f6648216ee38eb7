"""How large windows are: so that the object has the size a model likes.

A network that was trained on objects of some sizes draws them worse when they are
shown much smaller or larger. A model that says which share of a window's side an
object should have (`ScaledModel`) is shown smaller windows, enlarged, for small
objects, and larger ones for large objects. A box says how large its object is; after
a click the first masks do:

    size 256           size 128, enlarged          the object fills a share of the
    +---------+        +---------+                 window nearer to the wanted one;
    |         |        |   ###   |                 its neighbourhood is smaller, and
    |    #    |   ->   |  #####  |                 each of its pixels is seen by more
    |         |        |   ###   |                 of the network
    +---------+        +---------+
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Protocol, runtime_checkable

from napari_sam.model.window_model import WindowModel
from napari_sam.prompts import BoxPrompt, MaskPrompt, Prompt


@runtime_checkable
class ScaledModel(Protocol):
    """A model that sees objects of one size best, and windows of several sizes."""

    @property
    def window_sizes(self) -> tuple[int, ...]:
        """Sides of the windows it may be shown, in pixels, smallest first."""

    @property
    def object_share(self) -> float | None:
        """Side of an object that it sees best, in sides of its window; None: any."""


@dataclass(frozen=True, slots=True)
class SizeEstimate:
    """How large an object is, as the first window of some size shows it.

    Parameters
    ----------
    side
        Square root of its area, in pixels of the window; 0 where nothing is seen.
    score
        0..1, how sure the model is.
    """

    side: float
    score: float


@dataclass(frozen=True, slots=True)
class WindowSizes:
    """The sizes of windows to choose from.

    Parameters
    ----------
    sides
        Of the windows, in pixels, smallest first.
    start
        The one to begin with.
    share
        Side of an object that the model sees best, in sides of its window.
    """

    sides: tuple[int, ...]
    start: int
    share: float | None

    @classmethod
    def of(cls, model: WindowModel) -> WindowSizes:
        """What a model says; most are shown windows of one size."""
        if isinstance(model, ScaledModel) and model.object_share is not None:
            return cls(model.window_sizes, model.window_size, model.object_share)
        return cls((model.window_size,), model.window_size, None)

    def for_object(self, side: float) -> int:
        """The size in which an object of this side has nearest the wanted share."""
        if self.share is None or side <= 0:
            return self.start
        wanted = side / self.share
        return min(self.sides, key=lambda size: abs(log(size / wanted)))

    def with_room(self, side: float) -> int:
        """The smallest size in which an object has at most the wanted share.

        For all objects of a window, wherever they are in it, room around them matters
        more than how large they are shown.
        """
        if self.share is None or side <= 0:
            return self.start
        roomy = [size for size in self.sides if size * self.share >= side]
        return roomy[0] if roomy else self.sides[-1]

    def for_prompts(self, prompts: Sequence[Prompt]) -> int | None:
        """The size that boxes and masks need, None where there are only clicks."""
        sides = [
            sqrt(prompt.box.area)
            if isinstance(prompt, BoxPrompt)
            else sqrt(prompt.mask.sum())
            for prompt in prompts
            if isinstance(prompt, BoxPrompt | MaskPrompt)
        ]
        return self.for_object(max(sides)) if sides else None

    def settle(self, estimate: Callable[[int], SizeEstimate]) -> int:
        """The size of windows that suits an object by what they show of it.

        Parameters
        ----------
        estimate
            Measures the object in a window of a size; called once a size. Where two
            sizes each point at the other, the model's score decides.
        """
        if len(self.sides) == 1:
            return self.start
        seen: dict[int, SizeEstimate] = {}
        size = self.start
        while True:
            seen[size] = estimate(size)
            wanted = self.for_object(seen[size].side)
            if wanted == size:
                return size
            if wanted in seen:
                return max(seen, key=lambda tried: seen[tried].score)
            size = wanted
