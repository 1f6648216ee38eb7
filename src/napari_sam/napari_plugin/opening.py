"""From an image layer and what the user chose to a `Session`; all of it in a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam.labels import ObjectSummary
from napari_sam.model.window_model import WindowModel
from napari_sam.napari_plugin.jobs import JobWatch
from napari_sam.napari_plugin.label_places import LabelsProposal, propose_labels
from napari_sam.napari_plugin.sources import LayerSource, Limits
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.candidates import PredictorOptions
from napari_sam.predictor.image import ImagePredictor
from napari_sam.session import Session

Load = Callable[..., WindowModel]
"""Called as `load_model(name, device, progress=...)`."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user may choose of a session; None: as proposed.

    Parameters
    ----------
    model, device
        As of `load_model`.
    channels, contrast
        As of `open_image`.
    labels
        Where the labels are or will be.
    level
        The finest level to look at.
    """

    model: str = "default"
    device: str = "auto"
    channels: tuple[int, ...] | None = None
    contrast: Limits | None = None
    labels: Path | None = None
    level: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A session, and what else is known about it."""

    session: Session
    axes: str  # of the image layer
    place: LabelsProposal
    objects: tuple[ObjectSummary, ...]  # that are in the labels already


def load_by_name(name: str, device: str, *, progress: Any) -> WindowModel:
    """Load a model; torch is imported only now, off the window's thread."""
    from napari_sam.model.checkpoints import load_model  # noqa: PLC0415

    return load_model(name, device, progress=progress)


class Models:
    """Keeps the model that was used last: other images go on with it at once.

    Parameters
    ----------
    load
        Gives a model by its name.
    """

    def __init__(self, load: Load = load_by_name) -> None:
        self._load = load
        self._kept: tuple[tuple[str, str], WindowModel] | None = None

    def get(self, name: str, device: str, watch: JobWatch) -> WindowModel:
        """The model; loaded, and before that downloaded, only where it is another."""
        if self._kept is None or self._kept[0] != (name, device):
            # One at a time: two of the large ones may not fit into memory.
            self._kept = None
            model = self._load(name, device, progress=watch.progress)
            self._kept = ((name, device), model)
        return self._kept[1]


def open_session(
    source: LayerSource,
    choices: Choices,
    models: Models,
    cache: EmbeddingCache,
    watch: JobWatch,
) -> Opened:
    """Open image, labels and model of a layer.

    Raises
    ------
    ImageError, CheckpointError, DownloadError, LabelsLockedError, LabelWriteError
        What cannot be opened; then nothing stays open.
    """
    opened = source.open(choices.channels, choices.contrast)
    model = models.get(choices.model, choices.device, watch)
    watch()
    place = _place(source, opened, choices)
    options = PredictorOptions(finest_level=choices.level or 0)
    predictor = ImagePredictor(model, opened.image, cache=cache, options=options)
    session = Session(opened.image, place.path, model, predictor=predictor)
    return Opened(session, opened.axes, place, session.objects)


def _place(source: LayerSource, opened: Any, choices: Choices) -> LabelsProposal:
    if choices.labels is not None:
        text = f"Labels are kept in {choices.labels}, as you chose."
        return LabelsProposal(choices.labels, text)
    return propose_labels(opened, source.path, source.name)
