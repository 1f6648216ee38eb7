"""A predictor whose finest level the user may choose: "work at"."""

from __future__ import annotations

from collections.abc import Sequence

from napari_sam.predictor.candidates import Candidate
from napari_sam.predictor.image import ImagePredictor
from napari_sam.predictor.progress import ProgressCallback
from napari_sam.prompts import Prompt


class LeveledPredictor(ImagePredictor):
    """An `ImagePredictor` that looks at no level finer than the chosen one."""

    _finest: int | None = None

    @property
    def finest(self) -> int | None:
        """The finest level to look at; None: as the object needs it."""
        return self._finest

    def work_at(self, level: int | None) -> None:
        """Look at this level or coarser from the next answer on."""
        self._finest = level

    def predict(
        self,
        prompts: Sequence[Prompt],
        plane: tuple[int, ...] = (),
        *,
        level: int | None = None,
        previous: Candidate | None = None,
        watch: ProgressCallback | None = None,
    ) -> tuple[Candidate, ...]:
        """As `ImagePredictor.predict`, by default at the chosen level."""
        return super().predict(
            prompts,
            plane,
            level=self._finest if level is None else level,
            previous=previous,
            watch=watch,
        )

    def complete(
        self,
        candidate: Candidate,
        prompts: Sequence[Prompt] = (),
        *,
        level: int | None = None,
        watch: ProgressCallback | None = None,
    ) -> Candidate:
        """As `ImagePredictor.complete`, by default at the chosen level."""
        finest = self._finest if level is None else level
        return super().complete(candidate, prompts, level=finest, watch=watch)
