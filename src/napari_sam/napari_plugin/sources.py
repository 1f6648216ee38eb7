"""From a napari image layer to an `Image`: by its file where it has one, else its data.

A file is better: it has a lasting address, so that embeddings, labels and undo history
are found again, and no cache of dask in between. But a layer's path says only where it
came from. So the file counts if its shape and some of its pixels are the layer's:

    axes of the file    t c z y x     the layer has
    t c z y x                         all of them, channels with a slider
    t   z y x                         one channel, split off by a reader; which one
                                      it is, the pixels show
    t   z y x  and rgb                the channels as colours
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from napari_sam.axes import CHANNEL, PLANE, SAMPLES, guess_axes
from napari_sam.errors import ImageError, ImageReadError
from napari_sam.geometry import Box
from napari_sam.images import Image, LazyArray, open_image
from napari_sam.zarr_nodes import is_zarr

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer

Limits = Sequence[float] | Sequence[Sequence[float]]

WORDS = {"time": "t", "channel": "c", "channels": "c", "depth": "z"}
"""Axis labels that are longer than a letter, and still plain."""

PROBE_SIDE = 32
"""Side of the squares that are compared, in pixels."""

NO_SAMPLES = 99
"""A size that no guess takes for a number of colours."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenedLayer:
    """An image layer as an `Image`."""

    image: Image
    axes: str  # of the layer, a letter each, RGB samples left out
    file: str | None  # that it is read from; None: from the layer's own arrays


@dataclass(frozen=True, slots=True, eq=False)
class LayerSource:
    """What there is to know about a layer without reading anything."""

    name: str
    arrays: tuple[LazyArray, ...]  # finest first
    axes: str  # of the arrays, RGB samples as "s"
    path: str | None  # where the layer says that it is from

    @classmethod
    def of(cls, layer: ImageLayer, axes: str | None = None) -> LayerSource:
        """Take note of a layer; quick, and for the window's thread.

        Parameters
        ----------
        layer
            Of any number of dimensions.
        axes
            A letter for each axis but RGB samples, as in `open_image`; None: by the
            layer's axis labels, or else by the rule of `open_image`.

        Raises
        ------
        ImageError
            It is not clear which axis is which.
        """
        arrays = tuple(layer.data) if layer.multiscale else (layer.data,)
        letters = axes or labelled_axes(layer.axis_labels)
        if letters is not None and layer.rgb:
            letters += SAMPLES
        if letters is None:
            shape = tuple(arrays[0].shape)
            # napari has settled whether these are colours.
            letters = guess_axes(shape if layer.rgb else (*shape[:-1], NO_SAMPLES))
        return cls(layer.name, arrays, letters, layer.source.path or _home_of(arrays))

    @property
    def layer_axes(self) -> str:
        """The axes without RGB samples."""
        return self.axes.replace(SAMPLES, "")

    def open(
        self, channels: Sequence[int] | None = None, contrast: Limits | None = None
    ) -> OpenedLayer:
        """Open the image, and compare a few of its pixels; for a worker.

        Parameters
        ----------
        channels, contrast
            As in `open_image`. Channels count from the first one that has a slider, or
            that is a colour; for a layer that is one channel of a file, from the file's
            first.

        Raises
        ------
        ImageError
            It cannot be opened, or not in this way.
        """
        found = self._in_file()
        if found is None:
            image = self._open_arrays(self.axes, channels, contrast)
            return OpenedLayer(image, self.layer_axes, None)
        own, axes, path = found
        chosen = own.channels if channels is None else channels
        image = open_image(path, channels=chosen, contrast_limits=contrast)
        return OpenedLayer(image, axes, path)

    def _in_file(self) -> tuple[Image, str, str] | None:
        """The file's image, of the layer's channel, the layer's axes in it, its path.

        None if it is not what the layer shows.
        """
        if self.path is None:
            return None
        try:
            whole = open_image(self.path)
            axes = self._axes_in(whole)
            if axes is None:
                return None
            shown = self._open_arrays(axes + SAMPLES * (SAMPLES in self.axes))
            alike = [
                image
                for image in self._choices(self.path, whole, axes)
                if _is_alike(image, shown)
            ]
        except (ImageError, ImageReadError):
            # Another reader's format, or a file that has moved: the data will do.
            return None
        # Channels that look the same cannot be told apart.
        return (alike[0], axes, self.path) if len(alike) == 1 else None

    def _axes_in(self, whole: Image) -> str | None:
        """The layer's axes as the file calls them; None where the shapes differ."""
        sizes = dict(zip(whole.stack_axes, whole.stack_shape, strict=True))
        sizes |= dict(zip(PLANE, whole.shape, strict=True))
        sizes[CHANNEL] = whole.channel_count
        shape = tuple(self.arrays[0].shape[: len(self.layer_axes)])
        one_channel = whole.axes.replace(CHANNEL, "")
        for axes in (one_channel, whole.axes):
            if tuple(sizes[name] for name in axes) == shape:
                return axes
        return None

    def _choices(self, path: str, whole: Image, axes: str) -> list[Image]:
        """What the layer may show of the file: all of it, or one of its channels."""
        is_split = CHANNEL not in axes and SAMPLES not in self.axes
        if not is_split or whole.channel_count == 1:
            return [whole]
        return [open_image(path, channels=[c]) for c in range(whole.channel_count)]

    def _open_arrays(
        self,
        axes: str,
        channels: Sequence[int] | None = None,
        contrast: Limits | None = None,
    ) -> Image:
        source: Any = self.arrays[0] if len(self.arrays) == 1 else list(self.arrays)
        return open_image(
            source,
            axes=axes,
            channels=channels,
            contrast_limits=contrast,
            name=self.name,
        )


def labelled_axes(labels: Sequence[str]) -> str | None:
    """The layer's axis labels as letters, if that is what they are."""
    letters = [WORDS.get(label.lower(), label.lower()) for label in labels]
    is_plain = all(len(name) == 1 and name.isalpha() for name in letters)
    if not is_plain or len(set(letters)) != len(letters) or not {*PLANE} <= {*letters}:
        return None
    return "".join(letters)


def _home_of(arrays: Sequence[LazyArray]) -> str | None:
    """Where a zarr array is on disk: its group, for it may be an OME-Zarr image."""
    first = arrays[0]
    if not isinstance(first, zarr.Array) or not isinstance(first.store, LocalStore):
        return None
    path = Path(first.store.root) / first.path
    return str(path.parent if first.path and is_zarr(path.parent) else path)


def _is_alike(image: Image, shown: Image) -> bool:
    """Whether the two have the same pixels in a few small squares of a plane."""
    plane = tuple(n // 2 for n in image.stack_shape)
    return image.dtype == shown.dtype and all(
        np.array_equal(
            image.read(plane, 0, box),
            shown.read(plane, 0, box),
            equal_nan=image.dtype.kind == "f",
        )
        for box in _probes(image.shape)
    )


def _probes(shape: tuple[int, int]) -> Iterator[Box]:
    """Squares along the diagonal."""
    for part in (1, 2, 3):
        y, x = (n * part // 4 for n in shape)
        yield Box(y, x, y + PROBE_SIDE, x + PROBE_SIDE).clip(Box.of_shape(shape))
