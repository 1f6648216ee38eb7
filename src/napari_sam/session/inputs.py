"""What a session may be made from: a model by name or path, labels by path."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from napari_sam.errors import LabelError, SessionError
from napari_sam.images import Image
from napari_sam.labels import (
    LabelGeometry,
    LabelOptions,
    LabelStore,
    default_labels_path,
)
from napari_sam.model.window_model import WindowModel


def as_model(model: str | PathLike[str] | WindowModel) -> WindowModel:
    """A model as it is, or loaded."""
    if not isinstance(model, str | PathLike):
        if not (hasattr(model, "encode") and hasattr(model, "predict")):
            raise SessionError(
                "A session needs a model: a name, a path to a checkpoint, or an object "
                f"with encode and predict, got {model!r}."
            )
        return model
    # Loading torch takes seconds; a session with a model of its own can do without.
    from napari_sam.model import load_model  # noqa: PLC0415

    return load_model(str(model) if isinstance(model, str) else Path(model))


def as_store(
    labels: str | PathLike[str] | LabelStore | None,
    image: Image,
    options: LabelOptions | None,
) -> LabelStore:
    """An open label volume of the image; opened here unless it is one already."""
    if isinstance(labels, LabelStore):
        needed = LabelGeometry.of(image).volume_shape
        if labels.geometry.volume_shape != needed:
            raise LabelError(
                f"Labels of this image need shape {needed}, {labels.path} has "
                f"{labels.geometry.volume_shape}. Are they another image's?"
            )
        return labels
    if labels is None:
        if image.source is None:
            raise SessionError(
                "An image in memory has no folder beside it for labels: give a "
                'path, as in Session(image, labels="labels.ome.zarr").'
            )
        labels = default_labels_path(image.source)
    return LabelStore.open(labels, LabelGeometry.of(image), options=options)
