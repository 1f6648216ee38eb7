"""The picture of the napari window, with a photograph and the embedded model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import coins_scene
import napari
from PIL import Image
from qtpy.QtTest import QTest

from napari_sam.annotator.commands import Accept
from napari_sam.napari_plugin import sample_data
from napari_sam.napari_plugin.dock import SegmentDock
from napari_sam.prompts import BoxPrompt, Click

SIZE = (1366, 768)
MOST_S = 300
ACCEPTED = (*(Click(y, x) for y, x in coins_scene.CLICKS), BoxPrompt(*coins_scene.BOX))
LAST = (Click(*coins_scene.LAST), Click(*coins_scene.NOT_THIS, positive=False))


def wait_until(is_so: Callable[[], bool]) -> None:
    """Let the window run until then."""
    end = monotonic() + MOST_S
    while not is_so():
        QTest.qWait(20)
        if monotonic() > end:
            sys.exit("The window did not get ready in time.")


def draw_napari(path: Path) -> None:
    """Segment a few coins as a person would, and photograph the window."""
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    pixels, facts, _ = sample_data.coins()[0]
    viewer.add_image(pixels, **facts)
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="Segment Anything")
    controller = dock.controller
    wait_until(lambda: controller.screen is not None)
    viewer.reset_view()
    for prompt in ACCEPTED:
        controller.add(prompt, ())
        controller.post(Accept())
    for prompt in LAST:
        controller.add(prompt, ())
    wait_until(lambda: controller.annotator.wait(0.1) and controller.is_up_to_date)
    # The labels' thumbnail follows a little later.
    QTest.qWait(1000)
    picture = viewer.screenshot(canvas_only=False, flash=False)
    Image.fromarray(picture).convert("RGB").save(path, optimize=True)
    viewer.close()
    print(f"{path}: {len(ACCEPTED)} objects, {picture.shape[1]} x {picture.shape[0]}")
