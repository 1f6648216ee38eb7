"""Everything in an image of many windows, with a model that sees regions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ome_zarr_models.v05 import ImageLabel
from run_scene import (
    BACKGROUND,
    SHAPE,
    Regions,
    array_bytes,
    assert_same_objects,
    labels_of,
    opened,
    scene,
    segment,
    truth,
    write_image,
)

import napari_sam as ns
from napari_sam.automatic.run import RunProgress
from napari_sam.errors import Cancelled, ImageError, LabelError, LabelsLockedError
from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelOptions, LabelStore
from napari_sam.predictor.progress import WindowProgress

pytestmark = pytest.mark.usefixtures("no_flushing")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path / "image.zarr", scene())


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels.ome.zarr"


def stop_after(count: int) -> Any:
    """A watcher that gives up before window `count` + 1."""

    def watch(progress: WindowProgress) -> None:
        if progress.windows >= count:
            raise Cancelled("enough")

    return watch


def test_every_object_of_many_windows_is_found_whole_and_once(
    image: Path, labels: Path
) -> None:
    model = Regions()
    report = segment(image, labels, model, skip_empty=False)
    assert_same_objects(labels_of(labels), truth())
    assert report.is_complete
    assert report.objects == truth().max()
    assert report.windows == model.encodes > 20


def test_ids_are_compact(image: Path, labels: Path) -> None:
    report = segment(image, labels)
    found = np.unique(labels_of(labels))
    np.testing.assert_array_equal(found, np.arange(report.objects + 1))


def test_every_level_of_the_pyramid_is_a_sample_of_the_labels(
    image: Path, labels: Path
) -> None:
    segment(image, labels)
    whole = labels_of(labels)
    with LabelStore.open(labels, mode="r") as store:
        assert len(store.levels) == 4
        for number, level in enumerate(store.levels):
            step = 2**number
            np.testing.assert_array_equal(level[:], whole[::step, ::step])


def test_the_labels_are_sound_ome_zarr(image: Path, labels: Path) -> None:
    segment(image, labels)
    read = ImageLabel.from_zarr(zarr.open_group(labels, mode="r"))
    assert read.attributes.ome.image_label is not None
    assert len(read.attributes.ome.multiscales[0].datasets) == 4


def test_an_object_that_is_added_later_gets_the_next_id(
    image: Path, labels: Path
) -> None:
    report = segment(image, labels)
    before = labels_of(labels)
    free = np.argwhere(before == 0)[0]
    box = Box(int(free[0]), int(free[1]), int(free[0]) + 1, int(free[1]) + 1)
    with LabelStore.open(labels) as store:
        edit = store.add(np.ones((1, 1), dtype=bool), box)
        assert edit.label_id == report.objects + 1
    after = labels_of(labels)
    assert np.count_nonzero(after != before) == 1


def test_a_session_goes_on_with_the_labels(image: Path, labels: Path) -> None:
    report = segment(image, labels)
    with ns.Session(opened(image), labels=labels, model=Regions()) as session:
        assert session.labels.next_id == report.objects + 1
        assert_same_objects(session.labels.read((), Box.of_shape(SHAPE)), truth())


def test_the_table_has_a_row_for_every_object(image: Path, labels: Path) -> None:
    report = segment(image, labels)
    whole = labels_of(labels)
    with report.objects_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == list(range(1, report.objects + 1))
    for row in rows:
        ys, xs = np.nonzero(whole == int(row["id"]))
        assert int(row["area"]) == len(ys)
        box = [int(row[name]) for name in ("y0", "x0", "y1", "x1")]
        assert box == [ys.min(), xs.min(), ys.max() + 1, xs.max() + 1]
        assert float(row["score"]) == pytest.approx(0.9, abs=1e-6)


def test_labels_outside_of_a_region_stay_background(image: Path, labels: Path) -> None:
    region = Box(40, 60, 170, 250)
    model = Regions()
    segment(image, labels, model, region=region, skip_empty=False)
    found = labels_of(labels)
    outside = found.copy()
    outside[region.slices] = 0
    assert not outside.any()
    inside = truth()[region.slices]
    assert_same_objects(found[region.slices], inside)
    everywhere = Regions()
    other = labels.with_name("other.ome.zarr")
    segment(image, other, everywhere, skip_empty=False)
    assert model.encodes < everywhere.encodes


def test_the_planes_of_a_stack_are_segmented_one_by_one(tmp_path: Path) -> None:
    stack = np.stack([scene(seed=seed) for seed in range(3)])
    path = write_image(tmp_path / "stack.zarr", stack)
    labels = tmp_path / "labels.ome.zarr"
    report = segment(path, labels)
    below = 0
    for seed in range(3):
        found = labels_of(labels, (seed,))
        assert_same_objects(found, truth(seed=seed))
        assert found[found > 0].min() == below + 1
        below = int(found.max())
    assert report.objects == below


def test_only_the_planes_of_the_request_are_segmented(tmp_path: Path) -> None:
    stack = np.stack([scene(seed=seed) for seed in range(3)])
    path = write_image(tmp_path / "stack.zarr", stack)
    labels = tmp_path / "labels.ome.zarr"
    segment(path, labels, planes=[(2,), (0,)])
    assert_same_objects(labels_of(labels, (0,)), truth(seed=0))
    assert not labels_of(labels, (1,)).any()
    assert_same_objects(labels_of(labels, (2,)), truth(seed=2))


def test_a_coarser_level_is_drawn_at_the_finest(tmp_path: Path) -> None:
    fine = np.kron(scene(), np.ones((2, 2), dtype=np.uint8))
    path = write_image(tmp_path / "image.zarr", fine)
    labels = tmp_path / "labels.ome.zarr"
    options = ns.AutomaticOptions(object_size=36)  # of level 0
    segment(path, labels, level=1, options=options, label_options=LabelOptions())
    wanted = np.kron(truth(), np.ones((2, 2), dtype=np.uint32))
    assert_same_objects(labels_of(labels), wanted)


@pytest.mark.slow
def test_large_objects_are_looked_at_in_a_coarser_level(tmp_path: Path) -> None:
    fine = np.kron(scene(), np.ones((4, 4), dtype=np.uint8))
    path = write_image(tmp_path / "image.zarr", fine)
    seen = []
    model = Regions()
    options = ns.AutomaticOptions(object_size=72)
    segment(
        path,
        tmp_path / "labels.ome.zarr",
        model,
        options=options,
        label_options=LabelOptions(),
        watch=lambda progress: seen.append(progress.level),
    )
    assert set(seen) == {2}
    wanted = np.kron(truth(), np.ones((4, 4), dtype=np.uint32))
    assert_same_objects(labels_of(tmp_path / "labels.ome.zarr"), wanted)


def test_empty_windows_are_not_encoded(tmp_path: Path) -> None:
    wide = np.full((SHAPE[0], 3 * SHAPE[1]), BACKGROUND, dtype=np.uint8)
    wide[:, : SHAPE[1]] = scene()
    path = write_image(tmp_path / "image.zarr", wide)
    skipping, looking = Regions(), Regions()
    report = segment(path, tmp_path / "a.ome.zarr", skipping)
    every = segment(path, tmp_path / "b.ome.zarr", looking, skip_empty=False)
    assert every.skipped == 0
    assert report.skipped > looking.encodes // 2
    assert skipping.encodes == looking.encodes - report.skipped
    assert array_bytes(tmp_path / "a.ome.zarr") == array_bytes(tmp_path / "b.ome.zarr")


def test_a_dim_object_keeps_its_window_from_being_skipped(tmp_path: Path) -> None:
    dim = np.full((SHAPE[0], SHAPE[1]), BACKGROUND, dtype=np.uint8)
    dim[truth() == 20] = BACKGROUND + 20
    path = write_image(tmp_path / "image.zarr", dim)
    report = segment(path, tmp_path / "labels.ome.zarr")
    assert report.objects == 1
    assert report.skipped > 0


def test_a_stored_coarse_level_saves_reading_what_is_empty(tmp_path: Path) -> None:
    wide = np.full((SHAPE[0], 3 * SHAPE[1]), BACKGROUND, dtype=np.uint8)
    wide[:, : SHAPE[1]] = scene()
    read = []
    for levels in ([wide], [wide, wide[::2, ::2].copy()]):
        finest = Counted(wide)
        image = ns.open_image(
            [finest, *levels[1:]], axes="yx", contrast_limits=(0, 255)
        )
        labels = tmp_path / f"{len(levels)}.ome.zarr"
        segment(image, labels)
        assert_same_objects(labels_of(labels)[:, : SHAPE[1]], truth())
        read.append(finest.read_pixels)
    assert read[1] < read[0] - wide.size // 3


class Counted:
    """An array that counts the pixels that are read of it."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.read_pixels = 0

    def __getitem__(self, index: Any) -> Any:
        found = self.array[index]
        self.read_pixels += found.size
        return found


def test_a_cancelled_run_goes_on_where_it_was(image: Path, labels: Path) -> None:
    first, second = Regions(), Regions()
    with pytest.raises(Cancelled):
        segment(image, labels, first, skip_empty=False, watch=stop_after(20))
    assert not labels.exists()
    report = segment(image, labels, second, skip_empty=False)
    assert first.encodes == 20
    assert second.encodes == report.windows - 16  # that is, but for the first tile's
    whole = labels.with_name("whole.ome.zarr")
    segment(image, whole, skip_empty=False)
    assert array_bytes(labels) == array_bytes(whole)


def test_a_run_that_is_complete_is_not_run_again(image: Path, labels: Path) -> None:
    first = segment(image, labels)
    model = Regions()
    assert segment(image, labels, model) == first
    assert model.encodes == 0


def test_labels_can_be_cancelled_while_they_are_written(
    image: Path, labels: Path
) -> None:
    def stop(progress: RunProgress) -> None:
        if progress.stage == "labels" and progress.done == 3:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        segment(image, labels, on_progress=stop)
    assert not labels.exists()
    model = Regions()
    segment(image, labels, model)
    assert model.encodes == 0
    assert_same_objects(labels_of(labels), truth())


def test_progress_counts_every_tile_and_then_every_block(
    image: Path, labels: Path
) -> None:
    steps_done: list[RunProgress] = []
    report = segment(image, labels, on_progress=steps_done.append)
    stages = [progress.stage for progress in steps_done]
    assert list(dict.fromkeys(stages)) == ["tiles", "seams", "labels"]
    for stage in set(stages):
        steps = [progress for progress in steps_done if progress.stage == stage]
        assert [step.done for step in steps] == list(range(1, steps[-1].count + 1))
    assert len({progress.tile for progress in steps_done} - {None}) == report.tiles
    tiles = [progress for progress in steps_done if progress.stage == "tiles"]
    assert abs(tiles[-1].objects - report.objects) < 0.2 * report.objects


def test_another_run_at_the_same_place_is_refused_unless_it_may_overwrite(
    image: Path, labels: Path
) -> None:
    with pytest.raises(Cancelled):
        segment(image, labels, watch=stop_after(20))
    other = ns.AutomaticOptions(object_size=17)
    with pytest.raises(LabelError, match="another options"):
        segment(image, labels, options=other)
    segment(image, labels, options=other, overwrite=True)
    assert_same_objects(labels_of(labels), truth())


def test_labels_of_something_else_are_refused_unless_they_may_be_replaced(
    image: Path, labels: Path
) -> None:
    geometry = LabelGeometry.of(opened(image))
    with LabelStore.open(labels, geometry) as store:
        store.add(np.ones((5, 5), dtype=bool), Box(0, 0, 5, 5))
    with pytest.raises(LabelError, match="already"):
        segment(image, labels)
    assert labels_of(labels)[0, 0] == 1
    report = segment(image, labels, overwrite=True)
    assert_same_objects(labels_of(labels), truth())
    with LabelStore.open(labels) as store:
        assert store.next_id == report.objects + 1


def test_overwriting_a_complete_run_starts_from_nothing(
    image: Path, labels: Path
) -> None:
    segment(image, labels)
    before = array_bytes(labels)
    with LabelStore.open(labels) as store:
        store.erase(1, (), Box.of_shape(SHAPE))
    model = Regions()
    segment(image, labels, model, overwrite=True)
    assert model.encodes > 0
    assert array_bytes(labels) == before


def test_labels_that_are_being_edited_are_not_written(
    image: Path, labels: Path
) -> None:
    with (
        LabelStore.open(labels, LabelGeometry.of(opened(image))),
        pytest.raises(LabelsLockedError),
    ):
        segment(image, labels, overwrite=True)


def test_what_cannot_be_asked_is_refused_before_anything_is_made(
    image: Path, labels: Path
) -> None:
    with pytest.raises(ImageError, match="region"):
        segment(image, labels, region=Box(0, 0, 1000, 10))
    with pytest.raises(ImageError, match="plane"):
        segment(image, labels, planes=[(3,)])
    with pytest.raises(ImageError, match="levels"):
        segment(image, labels, level=9)
    assert sorted(path.name for path in labels.parent.iterdir()) == ["image.zarr"]


def test_an_image_without_anything_has_labels_without_anything(
    tmp_path: Path,
) -> None:
    flat = np.full(SHAPE, BACKGROUND, dtype=np.uint8)
    report = segment(
        ns.open_image(flat),
        tmp_path / "labels.ome.zarr",
        options=ns.AutomaticOptions(),
    )
    assert (report.objects, report.windows) == (0, 0)
    assert not labels_of(tmp_path / "labels.ome.zarr").any()


def test_an_image_smaller_than_a_window_is_one(tmp_path: Path) -> None:
    small = scene()[:50, :60]
    model = Regions()
    segment(
        ns.open_image(small, contrast_limits=(0, 255)), tmp_path / "a.ome.zarr", model
    )
    assert model.encodes == 1
    assert_same_objects(labels_of(tmp_path / "a.ome.zarr"), truth()[:50, :60])


def test_the_object_size_is_estimated_once_and_kept(image: Path, labels: Path) -> None:
    with pytest.raises(Cancelled):
        segment(image, labels, options=None, watch=stop_after(1))
    report = segment(image, labels, options=None)
    assert report.is_complete
    assert_same_objects(labels_of(labels), truth())
