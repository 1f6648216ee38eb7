"""Label images: pictures whose numbers are the ids of objects."""

from __future__ import annotations

from dataclasses import replace

from napari_sam.images.image import Image, ImageLike, open_image
from napari_sam.images.sources import find_image


def open_ids(source: ImageLike) -> Image:
    """Open a label image: as `open_image`, but a palette's numbers, not its colours."""
    stored = find_image(source)
    if stored.indices is not None:
        axes = (stored.axes or "").replace("s", "")
        stored = replace(
            stored, arrays=(stored.indices,), axes=axes, is_rgb=False, indices=None
        )
    return open_image(stored)
