"""Viewers without a window, labels and candidates for them."""

from pathlib import Path

import numpy as np
import zarr
from napari.components import ViewerModel
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelOptions, LabelStore
from napari_sam.masks import Mask
from napari_sam.napari_plugin.layers.placement import Placement
from napari_sam.predictor.candidates import Candidate

SMALL_CHUNKS = LabelOptions(chunk_size=64, shard_size=128, coarsest_size=64)


def image_in(
    viewer: ViewerModel, axes: str, shape: tuple[int, ...], **facts: object
) -> Placement:
    layer = viewer.add_image(np.zeros(shape, np.uint8), **facts)
    return Placement(layer, axes)


def labels_of(place: Placement, folder: Path) -> LabelStore:
    sizes = dict(zip(place.axes, place.shape, strict=True))
    axes = f"{place.stack_axes}yx"
    geometry = LabelGeometry.of_shape(axes, tuple(sizes[name] for name in axes))
    return LabelStore.open(folder, geometry, options=SMALL_CHUNKS)


def candidate(mask: Mask, box: Box, plane: tuple[int, ...] = ()) -> Candidate:
    window = Box(0, 0, 64, 64)
    return Candidate(mask, box, 0.9, plane, 0, True, (), window, 0, 64, None)


def square(side: int) -> Mask:
    return np.ones((side, side), dtype=bool)


def seen(layer: Labels) -> NDArray[np.integer]:
    """The pixels that napari has ready to draw; it offers no public way to them."""
    return np.asarray(layer._slice.image.raw)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(len(shape)).integers(0, 255, shape, dtype=np.uint8)


def ome_zarr(path: Path, pixels: NDArray[np.uint8], axes: str) -> Path:
    """An OME-Zarr image of two levels, as few metadata as there can be."""
    group = zarr.create_group(path, zarr_format=3)
    scales = ([1.0] * pixels.ndim, [1.0] * (pixels.ndim - 2) + [2.0, 2.0])
    for level, array in enumerate((pixels, pixels[..., ::2, ::2])):
        group.create_array(str(level), data=array)
    kinds = {"t": "time", "c": "channel"}
    multiscale = {
        "axes": [{"name": n, "type": kinds.get(n, "space")} for n in axes],
        "datasets": [
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": scale}],
            }
            for level, scale in enumerate(scales)
        ],
    }
    group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}
    return path
