"""The layers in a real window: what is drawn, and that nothing falls over."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.viewer import Viewer
from numpy.typing import NDArray
from plugin_scene import candidate, labels_of, square
from pytestqt.qtbot import QtBot

from napari_sam.geometry import Box
from napari_sam.labels import LabelStore
from napari_sam.napari_plugin.layers.candidate import CandidatePresenter
from napari_sam.napari_plugin.layers.labels import LabelPresenter
from napari_sam.napari_plugin.layers.placement import Placement
from napari_sam.napari_plugin.layers.prompts import PromptPresenter
from napari_sam.prompts import BoxPrompt, Click

SIDE = 256


class Drawn:
    """A gray image under labels, candidate and prompts; scaled, and moved away."""

    def __init__(self, viewer: ViewerModel, folder: Path) -> None:
        self.viewer = viewer
        gray = np.full((2, SIDE, SIDE), 60, np.uint8)
        image = viewer.add_image(
            gray, contrast_limits=(0, 255), scale=(1, 0.5, 0.5), translate=(0, 30, 40)
        )
        self.place = Placement(image, "zyx")
        self.store: LabelStore = labels_of(self.place, folder / "labels.ome.zarr")
        self.labels = LabelPresenter(viewer, self.store, self.place, "labels")
        self.candidate = CandidatePresenter(viewer, self.place, "candidate")
        self.prompts = PromptPresenter(viewer, self.place, "prompts")
        for layer in (self.labels, self.candidate, self.prompts):
            layer.show()
        viewer.dims.set_current_step(0, 0)
        viewer.reset_view()

    def fill(self) -> None:
        self.store.add(square(60), Box(20, 20, 80, 80), (0,))
        self.labels.refresh()
        self.candidate.draw(candidate(square(60), Box(20, 120, 80, 180), (0,)))
        prompts = (
            Click(150, 50),
            Click(150, 90, positive=False),
            BoxPrompt(140, 120, 200, 180),
        )
        self.prompts.draw(prompts, (0,))

    def close(self) -> None:
        for layer in (self.labels, self.candidate, self.prompts):
            layer.close()
        self.store.close()


@pytest.fixture
def drawn(
    make_napari_viewer: Callable[..., Viewer], tmp_path: Path, qtbot: QtBot
) -> Iterator[Drawn]:
    scene = Drawn(make_napari_viewer(show=True), tmp_path)
    yield scene
    scene.close()


def colour_at(viewer: Viewer, place: Placement, y: float, x: float) -> NDArray[np.int_]:
    """What the window shows at a point of the image."""
    picture = viewer.screenshot(canvas_only=True, flash=False)
    world = np.array(place.world_at((0,), (y, x))[-2:])
    camera = viewer.scene.camera
    middle = np.array(picture.shape[:2]) / 2
    row, column = (world - camera.center[-2:]) * camera.zoom + middle
    return picture[round(row), round(column), :3].astype(int)


def is_gray(colour: NDArray[np.int_]) -> bool:
    return int(np.ptp(colour)) < 8


def test_all_is_drawn_where_it_is(drawn: Drawn, qtbot: QtBot) -> None:
    drawn.fill()
    viewer, place = drawn.viewer, drawn.place

    def colour(y: float, x: float) -> NDArray[np.int_]:
        return colour_at(viewer, place, y, x)

    qtbot.waitUntil(lambda: not is_gray(colour(50, 50)), timeout=10_000)  # the label
    assert not is_gray(colour(50, 150))  # the candidate's fill
    assert colour(20.5, 150).sum() > colour(50, 150).sum()  # and its outline
    assert not is_gray(colour(150.5, 50.5))
    assert not is_gray(colour(150.5, 90.5))
    assert not is_gray(colour(140, 150))  # an edge of the box
    assert is_gray(colour(170, 150))  # and its middle
    assert is_gray(colour(230, 230))
    viewer.dims.set_current_step(0, 1)
    assert all(is_gray(colour(*yx)) for yx in ((50, 50), (50, 150), (150.5, 50.5)))


def test_layers_survive_3d_reordering_and_the_loss_of_the_image(
    drawn: Drawn, qtbot: QtBot
) -> None:
    drawn.fill()
    viewer = drawn.viewer
    viewer.dims.ndisplay = 3
    drawn.candidate.draw(None)
    viewer.dims.ndisplay = 2
    viewer.layers.move(0, len(viewer.layers))
    drawn.candidate.draw(candidate(square(5), Box(0, 0, 5, 5), (1,)))
    viewer.layers.remove(drawn.place.layer)
    drawn.labels.refresh()
    drawn.prompts.draw((Click(1, 1),), (0,))
    qtbot.wait(600)
    assert drawn.labels.is_shown


def test_layers_can_be_closed_after_their_window(drawn: Drawn, qtbot: QtBot) -> None:
    drawn.fill()
    drawn.viewer.close()
    drawn.labels.refresh()
    drawn.close()
    qtbot.wait(600)
