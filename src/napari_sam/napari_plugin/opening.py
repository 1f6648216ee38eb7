"""From a layer and what the user chose to a `Session`, on the session's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam.annotator import JobWatch, LabelsProposal, propose_labels
from napari_sam.model.window_model import WindowModel
from napari_sam.napari_plugin.sources import LayerSource, Limits, OpenedLayer
from napari_sam.predictor import EmbeddingCache, ImagePredictor, PredictorOptions
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


def load_by_name(name: str, device: str, *, progress: Any) -> WindowModel:
    """Load a model; torch is imported only now, off the window's thread."""
    from napari_sam.model import load_model  # noqa: PLC0415

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


@dataclass(frozen=True, slots=True, eq=False)
class OpenedSession:
    """A session, and what else is known about it.

    Parameters
    ----------
    session
        For the session's thread; a window reads what never changes.
    axes
        Of the image layer.
    location
        Of the labels.
    """

    session: Session
    axes: str
    location: LabelsProposal


class SessionOpener:
    """Opens image, labels and model of a layer, once.

    Parameters
    ----------
    source, choices
        The layer, and what the user chose.
    models, cache
        Those of the dock.
    after
        Waits for what has to end first: it may hold the model, or the lock of the
        labels.

    Attributes
    ----------
    opened
        What came of it; None before.
    """

    def __init__(
        self,
        source: LayerSource,
        choices: Choices,
        models: Models,
        cache: EmbeddingCache,
        after: Callable[[], None],
    ) -> None:
        self._source, self._choices = source, choices
        self._models, self._cache, self._after = models, cache, after
        self.opened: OpenedSession | None = None

    def __call__(self, watch: JobWatch) -> Session:
        """Open them; for an `Annotator`.

        Raises
        ------
        ImageError, CheckpointError, DownloadError, LabelsLockedError, LabelWriteError
            What cannot be opened; then nothing stays open.
        """
        self._after()
        watch()
        choices = self._choices
        opened = self._source.open(choices.channels, choices.contrast)
        model = self._models.get(choices.model, choices.device, watch)
        watch()
        location = self._location(opened)
        options = PredictorOptions(finest_level=choices.level or 0)
        predictor = ImagePredictor(
            model, opened.image, cache=self._cache, options=options
        )
        session = Session(opened.image, location.path, model, predictor=predictor)
        self.opened = OpenedSession(session, opened.axes, location)
        return session

    def _location(self, opened: OpenedLayer) -> LabelsProposal:
        labels = self._choices.labels
        if labels is not None:
            text = f"Labels are kept in {labels}, as you chose."
            return LabelsProposal(labels, text)
        source = self._source
        return propose_labels(
            opened.image, opened.file, source.path, source.name, in_image=True
        )
