"""Draw docs/napari.png: the real window, with a photograph and the embedded model.

Run it where there is a display, or as `xvfb-run -a python benchmarks/screenshots.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import napari
from PIL import Image
from qtpy.QtTest import QTest

from napari_sam.napari_plugin import sample_data
from napari_sam.napari_plugin.dock import SegmentWidget
from napari_sam.prompts import BoxPrompt, Click

SIZE = (1366, 768)
MOST_S = 300
ACCEPTED = (
    Click(125, 46),
    Click(127, 103),
    Click(125, 206),
    Click(120, 271),
    Click(188, 348),
    Click(195, 275),
    BoxPrompt(108, 132, 147, 175),
)
LAST = (Click(197, 103), Click(197, 128, positive=False))


def wait_until(is_so: Callable[[], bool]) -> None:
    """Let the window run until then."""
    end = monotonic() + MOST_S
    while not is_so():
        QTest.qWait(20)
        if monotonic() > end:
            sys.exit("The window did not get ready in time.")


def main(path: Path) -> None:
    """Segment a few coins as a person would, and photograph the window."""
    viewer = napari.Viewer()
    viewer.window.resize(*SIZE)
    pixels, facts, _ = sample_data.coins()[0]
    viewer.add_image(pixels, **facts)
    dock = SegmentWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Segment Anything")
    wait_until(lambda: dock.controller.workspace is not None)
    workspace = dock.controller.workspace
    viewer.reset_view()
    for prompt in ACCEPTED:
        workspace.point_at(prompt, ())
        workspace.accept()
        wait_until(lambda: workspace.writing.is_free)
    for prompt in LAST:
        workspace.point_at(prompt, ())
    wait_until(lambda: not workspace.asking.is_pending)
    # The labels' thumbnail follows a little later.
    QTest.qWait(1000)
    picture = viewer.screenshot(canvas_only=False, flash=False)
    Image.fromarray(picture).convert("RGB").save(path, optimize=True)
    viewer.close()
    print(f"{path}: {len(ACCEPTED)} objects, {picture.shape[1]} x {picture.shape[0]}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/napari.png"))
