"""Opens the dock, segments, and closes it, again and again, in one viewer.

A process of its own, since what it looks for is a crash of the graphics driver.
"""

import sys
from pathlib import Path

import numpy as np
import zarr
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

sys.path.insert(0, str(Path(__file__).parent))

from dock_scene import Person, SquaresModel

TIMES = 3
PAUSE_MS = 150  # for the window to be drawn, which is what crashed


class Waiting:
    """As much of a `QtBot` as a `Person` needs."""

    wait = staticmethod(QTest.qWait)
    waitUntil = QtBot.waitUntil


def main() -> None:
    viewer = Viewer(show=True)
    person = Person(viewer, Waiting())
    pixels = np.random.default_rng(0).integers(0, 255, (2, 200, 200), np.uint8)
    flat = zarr.create_array(Path(sys.argv[1]) / "flat.zarr", data=pixels[0])
    viewer.add_image(flat, name="flat")
    viewer.add_image(pixels, name="stack")
    for number in range(TIMES):
        viewer.layers.selection.active = viewer.layers["flat"]
        dock = person.open_dock(SquaresModel())
        dock.encoded.setChecked(True)
        person.click(60, 40 + 40 * number)
        person.press(Qt.Key.Key_Return)
        person.wait()
        QTest.qWait(PAUSE_MS)
        ids = [found.label_id for found in person.state.objects]
        assert ids == list(range(1, number + 2)), ids
        viewer.layers.selection.active = viewer.layers["stack"]
        dock.start.click()
        person.until(lambda dock=dock: not dock.controller.is_opening)
        QTest.qWait(PAUSE_MS)
        viewer.window.remove_dock_widget(dock)
        QTest.qWait(PAUSE_MS)
        assert [layer.name for layer in viewer.layers] == ["flat", "stack"]
        sys.stdout.write("closed\n")
    viewer.close()
    QApplication.processEvents()


if __name__ == "__main__":
    main()
