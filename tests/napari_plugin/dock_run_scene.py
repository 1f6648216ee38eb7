"""A dock whose model sees islands, and runs that are started in it."""

import numpy as np
from dock_scene import Person
from islands_scene import SHAPE, SQUARE, IslandsModel
from qtpy.QtCore import QTimer

from napari_sam.annotator.commands import Where
from napari_sam.annotator.state import RunState
from napari_sam.geometry import Box
from napari_sam.napari_plugin.dock import SegmentDock
from napari_sam.napari_plugin.panels.automatic_panel import AutomaticPanel

WHOLE = Box.of_shape(SHAPE)


def open_dock(person: Person, model: IslandsModel) -> SegmentDock:
    dock = person.open_dock(model)
    # The windows in view would be encoded also.
    person.annotator._actions._prefetches = False
    person.rest()
    model.encodes = 0
    return dock


def panel_of(person: Person) -> AutomaticPanel:
    return person.dock.automatic


def run_of(person: Person) -> RunState:
    """As the dock shows it."""
    return person.state.run


def start(person: Person, where: Where, size: float = SQUARE) -> None:
    panel = panel_of(person)
    panel.where.setCurrentText(where)
    panel.size.setValue(size)
    panel.start.click()
    catch_up(person)


def catch_up(person: Person) -> None:
    """Until what was pressed is begun, and drawn."""
    person.annotator.call(lambda _: None)
    person.until(lambda: person.dock.controller.is_up_to_date)


def finish(person: Person) -> None:
    """Until the run has ended, and it is known whether one is left."""
    catch_up(person)
    person.until(lambda: not run_of(person).is_running)
    person.rest()


def labels_in(person: Person, plane: tuple[int, ...] = ()) -> np.ndarray:
    return person.annotator.call(
        lambda session: np.asarray(session.labels.read(plane, WHOLE))
    )


def layer_names(person: Person) -> list[str]:
    return [layer.name for layer in person.viewer.layers]


def assert_window_lives(person: Person) -> None:
    beats: list[int] = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(1))
    timer.start(5)
    person.until(lambda: len(beats) >= 20)
    timer.stop()
