"""A dock in a real window, and a person who clicks, drags and types in it."""

from collections.abc import Callable, Sequence
from threading import Event

import numpy as np
from napari.utils.notifications import notification_manager
from napari.viewer import Viewer
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam.annotator.annotator import Annotator
from napari_sam.annotator.state import AnnotatorState
from napari_sam.model.window_model import WindowMask
from napari_sam.napari_plugin.dock import SegmentDock
from napari_sam.napari_plugin.opening import Models
from napari_sam.napari_plugin.screen import NapariScreen
from napari_sam.prompts import BoxPrompt, Click, Prompt
from napari_sam.session import Session

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO_KEY, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier
WAIT_MS = 120_000


class SquaresModel:
    """Three squares around the last positive click, or what a box holds."""

    window_size = 128
    fingerprint = "squares"

    def __init__(self) -> None:
        self.encodes = 0
        self.may_encode = Event()
        self.may_encode.set()
        self.is_broken = False

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> tuple[int, ...]:
        self.encodes += 1
        self.may_encode.wait(20)
        if self.is_broken:
            raise RuntimeError("the stand-in is broken")
        return pixels_hwc.shape[:2]

    def predict(
        self, embedding: tuple[int, int], prompts: Sequence[Prompt]
    ) -> list[WindowMask]:
        boxes = [p for p in prompts if isinstance(p, BoxPrompt)]
        clicks = [p for p in prompts if isinstance(p, Click) and p.positive]
        if boxes:
            return [_filled(embedding, boxes[-1].box.slices, 0.95)]
        if clicks:
            y, x = clicks[-1].pixel
        else:
            y, x = (side // 2 for side in embedding)
        return [
            _filled(
                embedding,
                (
                    slice(max(y - half, 0), y + half),
                    slice(max(x - half, 0), x + half),
                ),
                0.9 - half / 100,
            )
            for half in (4, 6, 8)
        ]


def _filled(
    shape: tuple[int, int], where: tuple[slice, slice], score: float
) -> WindowMask:
    logits = np.full(shape, -5, np.float32)
    logits[where] = 5
    return WindowMask(logits > 0, score, logits)


def _last_message() -> str:
    records = notification_manager.records
    return records[-1].message if records else "nothing was said"


class Person:
    """Sits in front of a viewer."""

    def __init__(self, viewer: Viewer, qtbot: QtBot) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        self.dock: SegmentDock | None = None

    def open_dock(self, model: SquaresModel | None = None) -> SegmentDock:
        models = None if model is None else Models(lambda *_, progress: model)
        self.dock = SegmentDock(self.viewer, models)
        self.viewer.window.add_dock_widget(self.dock, name="Segment Anything")
        self.until(lambda: not self.dock.controller.is_opening)
        assert self.dock.controller.screen, _last_message()
        self.viewer.reset_view()
        self.qtbot.wait(50)
        return self.dock

    @property
    def screen(self) -> NapariScreen:
        screen = self.dock.controller.screen
        assert screen is not None
        return screen

    @property
    def annotator(self) -> Annotator:
        annotator = self.dock.controller.annotator
        assert annotator is not None
        return annotator

    @property
    def session(self) -> Session:
        """To read from while nothing is under way."""
        return self.annotator.session

    @property
    def state(self) -> AnnotatorState:
        """What the dock shows."""
        return self.dock.controller.state

    def until(self, is_so: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(is_so, timeout=WAIT_MS)

    def wait(self) -> None:
        """Until everything that was asked for is done, and drawn."""
        controller = self.dock.controller
        self.until(lambda: self.annotator.wait(0.1) and controller.is_up_to_date)

    def rest(self) -> None:
        """Until no window is encoded either that nobody waits for."""
        actions = self.annotator._actions
        for queue in (actions._jobs, actions._run._jobs):
            self.until(lambda queue=queue: self.annotator.call(lambda _: queue.is_idle))
        self.wait()

    @property
    def canvas(self) -> object:
        return self.viewer.window._qt_viewer.canvas.native

    def pixel(self, y: float, x: float) -> QPoint:
        """Where a point of the image is on the canvas."""
        view = self.screen.view
        place = view.placement
        world = place.world_at(view.plane, (y, x))
        wy, wx = world[place.axes.index("y")], world[place.axes.index("x")]
        (height, width), camera = self.viewer.canvas.size, self.viewer.scene.camera
        cy, cx = camera.center[-2:]
        return QPoint(
            round((wx - cx) * camera.zoom + width / 2),
            round((wy - cy) * camera.zoom + height / 2),
        )

    def click(
        self,
        y: float,
        x: float,
        button: Qt.MouseButton = LEFT,
        key: Qt.KeyboardModifier = NO_KEY,
    ) -> None:
        at = self.pixel(y, x)
        QTest.mouseMove(self.canvas, at)
        QTest.mouseClick(self.canvas, button, key, at)

    def move(self, y: float, x: float) -> None:
        QTest.mouseMove(self.canvas, self.pixel(y, x))
        self.qtbot.wait(20)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        a, b = self.pixel(*start), self.pixel(*end)
        QTest.mouseMove(self.canvas, a)
        QTest.mousePress(self.canvas, LEFT, pos=a)
        for step in range(1, 6):
            QTest.mouseMove(self.canvas, a + (b - a) * (step / 5))
            self.qtbot.wait(10)
        QTest.mouseRelease(self.canvas, LEFT, pos=b)

    def press(self, key: Qt.Key, with_key: Qt.KeyboardModifier = NO_KEY) -> None:
        QTest.keyClick(self.canvas, key, with_key)
        self.qtbot.wait(10)

    def turn_wheel(self, steps: int, key: Qt.KeyboardModifier = NO_KEY) -> None:
        """Turn the wheel towards the person, notch by notch; -1: away."""
        at = QPointF(self.canvas.rect().center())
        for _ in range(abs(steps)):
            event = QWheelEvent(
                at,
                QPointF(self.canvas.mapToGlobal(at.toPoint())),
                QPoint(),
                QPoint(0, -120 if steps > 0 else 120),
                Qt.MouseButton.NoButton,
                key,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            QApplication.sendEvent(self.canvas, event)
