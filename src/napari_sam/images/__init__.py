"""Lazy pyramids of planes: `open_image`, whatever the file.

`image` is what callers see; `from_zarr`, `from_tiff`, `from_raster` and `from_memory`
find what is stored, `axes`, `layout` and `levels` make sense of it, `block_means` makes
levels that are missing, `sampling` and `intensity` settle what is black and white.
"""

from napari_sam.images.image import Image, Level, open_image

__all__ = ["Image", "Level", "open_image"]
