"""Synthetic microscopy with known objects, to train on, to test with and to show."""

from napari_sam.scenes.generation import make_scene, random_options, scene_stream
from napari_sam.scenes.movie import make_movie
from napari_sam.scenes.options import (
    Scene,
    SceneKind,
    SceneOptions,
)
from napari_sam.scenes.slide import SlideOptions, lazy_slide, slide_block
from napari_sam.scenes.stack import make_stack

__all__ = [
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
