"""Lazy pyramids of planes: `open_image`, whatever the file.

image       what callers see: planes, levels, windows
sources     who opens what: from_zarr, from_tiff, from_raster, from_files, from_memory
zarr_groups which image of a group; zarr_stores opens the store around it
tiff_geometry, tiff_samples    sizes and samples, in the dialects of TIFF
label_images                   ids, not colours, of pictures with a palette
foreign_formats                what other programs read
stored      what was found in a file, before anything is made of it
layout      axes, channels and levels settled, the user's wishes first
levels      levels that are stored, and virtual ones between and beyond them
block_means windows of virtual levels
sampling    what becomes black and white, from few chunks
intensity   from any pixel type to 8 bits
"""

from napari_sam.images.image import Image, ImageLike, open_image
from napari_sam.images.intensity import as_rgb, intensity_range, stretch
from napari_sam.images.label_images import open_ids
from napari_sam.images.layout import Ranges
from napari_sam.images.levels import Level
from napari_sam.images.sampling import widen_empty_range
from napari_sam.images.sources import find_image, is_image_name
from napari_sam.images.stored import LazyArray, StoredImage

__all__ = [
    "Image",
    "ImageLike",
    "LazyArray",
    "Level",
    "Ranges",
    "StoredImage",
    "as_rgb",
    "find_image",
    "intensity_range",
    "is_image_name",
    "open_ids",
    "open_image",
    "stretch",
    "widen_empty_range",
]
