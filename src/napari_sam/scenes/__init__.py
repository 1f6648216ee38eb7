"""Synthetic microscopy with known objects, to train on, to test with and to show.

    options     what a scene shall be, and what it is
    generation  a scene from its options, scenes for ever from a seed
    slide       slides of any size, drawn block by block
    stack       nuclei in three dimensions; movie, cells that move and divide

What is drawn:

    nuclei membranes phase stain rods electron filaments colony yeast

What they are drawn with:

    blobs       closed outlines
    voronoi     territories that fill the space
    positions   where objects sit
    fields      smooth random textures
    components  every id is one connected object
    camera      light, noise and specks
"""

from napari_sam.scenes.generation import make_scene, random_options, scene_stream
from napari_sam.scenes.movie import make_movie
from napari_sam.scenes.options import (
    OBJECT_SIZES,
    Scene,
    SceneKind,
    SceneOptions,
)
from napari_sam.scenes.slide import SlideOptions, lazy_slide, slide_block
from napari_sam.scenes.stack import make_stack

__all__ = [
    "OBJECT_SIZES",
    "Scene",
    "SceneKind",
    "SceneOptions",
    "SlideOptions",
    "lazy_slide",
    "make_movie",
    "make_scene",
    "make_stack",
    "random_options",
    "scene_stream",
    "slide_block",
]
