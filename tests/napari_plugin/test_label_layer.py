"""The labels on disk are what the viewer shows, whatever happens to the layer."""

from collections.abc import Iterator
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from plugin_scene import image_in, labels_of, seen, square
from pytestqt.qtbot import QtBot

from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelStore
from napari_sam.napari_plugin.layers.labels import LabelPresenter
from napari_sam.napari_plugin.layers.placement import Placement

PATIENCE_MS = 10_000
SIDE = 256


class Shown:
    """An image, its labels and their layer."""

    def __init__(
        self, folder: Path, axes: str, shape: tuple[int, ...], **facts: object
    ) -> None:
        self.viewer = ViewerModel()
        self.place: Placement = image_in(self.viewer, axes, shape, **facts)
        self.store: LabelStore = labels_of(self.place, folder / "labels.ome.zarr")
        self.labels = LabelPresenter(self.viewer, self.store, self.place, "labels")
        self.layer = self.labels.show()

    def close(self) -> None:
        self.labels.close()
        self.store.close()


@pytest.fixture
def flat(tmp_path: Path, qtbot: QtBot) -> Iterator[Shown]:
    shown = Shown(tmp_path, "yx", (SIDE, SIDE), scale=(0.5, 0.5), translate=(3, 4))
    yield shown
    shown.close()


@pytest.fixture
def stack(tmp_path: Path, qtbot: QtBot) -> Iterator[Shown]:
    shown = Shown(tmp_path, "zcyx", (3, 2, SIDE, SIDE))
    yield shown
    shown.close()


def test_the_layer_lies_over_its_image_level_by_level(flat: Shown) -> None:
    assert flat.layer.multiscale
    assert [level.shape for level in flat.layer.data] == [
        (SIDE >> level, SIDE >> level) for level in range(3)
    ]
    assert all(
        isinstance(level, type(flat.store.levels[0])) for level in flat.layer.data
    )
    np.testing.assert_array_equal(flat.layer.scale, (0.5, 0.5))
    np.testing.assert_array_equal(flat.layer.translate, (3, 4))


@pytest.mark.parametrize("level", [0, 2], ids=["finest", "coarsest"])
def test_an_edit_is_seen_at_any_level(flat: Shown, qtbot: QtBot, level: int) -> None:
    flat.layer.data_level = level
    flat.layer.refresh()
    assert not seen(flat.layer).any()
    flat.store.add(square(100), Box(20, 20, 120, 120))
    flat.labels.refresh()
    qtbot.waitUntil(lambda: seen(flat.layer).any(), timeout=PATIENCE_MS)


def test_a_plain_refresh_would_show_old_pixels_at_the_coarsest_level(
    flat: Shown,
) -> None:
    flat.layer.data_level = 2
    flat.layer.refresh()
    flat.store.add(square(100), Box(20, 20, 120, 120))
    flat.layer.refresh()
    assert not seen(flat.layer).any()


def test_the_coarsest_level_follows_also_while_a_finer_one_is_shown(
    flat: Shown, qtbot: QtBot
) -> None:
    flat.layer.data_level = 2
    flat.layer.refresh()
    flat.layer.data_level = 0
    flat.store.add(square(100), Box(20, 20, 120, 120))
    set_anew: list[object] = []
    flat.layer.events.data.connect(set_anew.append)
    flat.labels.refresh()
    qtbot.waitUntil(lambda: bool(set_anew), timeout=PATIENCE_MS)
    flat.layer.data_level = 2
    flat.layer.refresh()
    assert seen(flat.layer).any()


def test_many_edits_in_a_row_are_drawn_together(flat: Shown, qtbot: QtBot) -> None:
    drawn: list[object] = []
    flat.layer.data_level = 0
    flat.layer.events.set_data.connect(drawn.append)
    for _ in range(50):
        flat.labels.refresh()
    qtbot.wait(600)
    assert 1 <= len(drawn) <= 4


def test_an_object_is_seen_in_its_plane_and_in_every_channel(
    stack: Shown, qtbot: QtBot
) -> None:
    stack.store.add(square(100), Box(20, 20, 120, 120), (2,))
    stack.labels.refresh()
    stack.viewer.dims.current_step = (2, 0, 0, 0)
    qtbot.waitUntil(lambda: seen(stack.layer).any(), timeout=PATIENCE_MS)
    stack.viewer.dims.current_step = (2, 1, 0, 0)
    assert seen(stack.layer).any()
    stack.viewer.dims.current_step = (1, 1, 0, 0)
    assert not seen(stack.layer).any()


def test_a_removed_layer_says_so_and_comes_back_up_to_date(
    flat: Shown, qtbot: QtBot
) -> None:
    removed: list[bool] = []
    flat.labels.removed.connect(lambda: removed.append(True))
    flat.viewer.layers.remove(flat.layer)
    assert removed == [True]
    assert not flat.labels.is_shown
    flat.store.add(square(100), Box(20, 20, 120, 120))
    flat.labels.refresh()
    assert flat.labels.show() is flat.layer
    qtbot.waitUntil(lambda: seen(flat.layer).any(), timeout=PATIENCE_MS)


def test_a_renamed_and_moved_layer_goes_on(flat: Shown, qtbot: QtBot) -> None:
    flat.layer.name = "mine"
    flat.viewer.layers.move(0, 2)
    flat.store.add(square(100), Box(20, 20, 120, 120))
    flat.labels.refresh()
    qtbot.waitUntil(lambda: seen(flat.layer).any(), timeout=PATIENCE_MS)
    assert len(flat.viewer.layers) == 2


def test_nobody_can_paint_past_the_journal(tmp_path: Path, qtbot: QtBot) -> None:
    shown = Shown(tmp_path, "zyx", (3, 40, 40))
    try:
        assert not shown.layer.multiscale  # such layers, napari lets users paint in
        shown.viewer.dims.ndisplay = 3
        shown.viewer.dims.ndisplay = 2
        shown.layer.visible = False
        shown.layer.visible = True
        shown.labels.refresh()
        qtbot.wait(500)
        assert not shown.layer.editable
        assert shown.layer.mode == "pan_zoom"
    finally:
        shown.close()


def test_the_layer_follows_an_image_that_is_moved(flat: Shown) -> None:
    flat.place.layer.translate = (50, 60)
    flat.place.layer.scale = (2, 2)
    flat.labels.follow(flat.place)
    np.testing.assert_array_equal(flat.layer.translate, (50, 60))
    np.testing.assert_array_equal(flat.layer.scale, (2, 2))


def test_closing_leaves_the_viewer_as_it_was(flat: Shown, qtbot: QtBot) -> None:
    drawn: list[object] = []
    flat.labels.refresh()
    flat.labels.close()
    flat.layer.events.set_data.connect(drawn.append)
    qtbot.wait(600)
    assert list(flat.viewer.layers) == [flat.place.layer]
    assert drawn == []


def test_labels_of_a_huge_image_are_never_held_whole(
    tmp_path: Path, qtbot: QtBot
) -> None:
    viewer = ViewerModel()
    sides = (100_000, 100_000 // 128)
    levels = [da.zeros((n, n), chunks=2048, dtype=np.uint8) for n in sides]
    image = viewer.add_image(levels, multiscale=True)
    place = Placement(image, "yx")
    geometry = LabelGeometry.of_shape("yx", place.shape)
    with LabelStore.open(tmp_path / "labels.ome.zarr", geometry) as store:
        labels = LabelPresenter(viewer, store, place, "labels")
        layer = labels.show()
        store.add(square(300), Box(70_000, 50_000, 70_300, 50_300))
        labels.refresh()
        qtbot.wait(600)
        assert seen(layer).size <= 512 * 512
        files = [p for p in store.path.rglob("*") if "c" in p.parts and p.is_file()]
        assert 1 <= len(files) <= 4 * len(store.levels)
        labels.close()
