from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import label, regionprops

from napari_sam.errors import SceneError
from napari_sam.geometry import Box
from napari_sam.scenes import (
    SlideOptions,
    lazy_slide,
    slide_block,
)

SLIDE = SlideOptions((310, 270), 20.0, seed=9)
HUGE = SlideOptions((100_000, 100_000), 24.0, seed=9)


def test_any_way_of_cutting_a_slide_gives_the_same_bytes():
    whole = slide_block(SLIDE, Box.of_shape(SLIDE.shape_hw))
    for chunk in (64, 97):
        pixels, labels = lazy_slide(SLIDE, chunk)
        assert (pixels.compute(scheduler="synchronous") == whole.pixels).all()
        assert (labels.compute(scheduler="synchronous") == whole.labels_hw).all()


def test_one_pixel_wide_blocks_agree_too():
    whole = slide_block(SLIDE, Box(40, 40, 72, 72))
    for offset in range(0, 32, 5):
        row = slide_block(SLIDE, Box(40 + offset, 40, 41 + offset, 72))
        assert (row.pixels[0] == whole.pixels[offset]).all()
        assert (row.labels_hw[0] == whole.labels_hw[offset]).all()


def test_a_step_leaves_out_rows_and_columns_and_changes_nothing_else():
    whole = slide_block(SLIDE, Box.of_shape(SLIDE.shape_hw))
    pixels, labels = lazy_slide(SLIDE, 50, step=4)
    assert pixels.shape == labels.shape == (78, 68)
    assert (pixels.compute(scheduler="synchronous") == whole.pixels[::4, ::4]).all()
    assert (labels.compute(scheduler="synchronous") == whole.labels_hw[::4, ::4]).all()


def test_a_window_of_a_huge_slide_is_drawn_by_itself():
    window = Box(98_765, 54_321, 98_865, 54_421)
    drawn = slide_block(HUGE, window)
    shifted = slide_block(HUGE, window.shift(-30, -17))
    assert drawn.pixels.dtype == np.uint16
    assert drawn.labels_hw.dtype == np.uint32
    assert drawn.labels_hw.max() > 2**22
    assert (drawn.labels_hw[:-30, :-17] == shifted.labels_hw[30:, 17:]).all()
    assert (drawn.pixels[:-30, :-17] == shifted.pixels[30:, 17:]).all()


@pytest.mark.parametrize("size", [8.0, 20.0, 60.0])
def test_every_object_is_one_piece_of_about_the_size_asked(size):
    side = int(12 * size)
    options = SlideOptions((side, side), size, seed=1)
    labels = slide_block(options, Box.of_shape(options.shape_hw)).labels_hw
    ids = np.setdiff1d(labels, [0])
    assert label(labels, background=0, connectivity=2).max() == ids.size
    compact = np.searchsorted(ids, labels) + 1
    compact[labels == 0] = 0
    sizes = [region.equivalent_diameter_area for region in regionprops(compact)]
    assert 0.7 * size < np.median(sizes) < 1.2 * size


def test_nuclei_glow_and_some_touch():
    drawn = slide_block(SLIDE, Box.of_shape(SLIDE.shape_hw))
    labels = drawn.labels_hw
    inside = labels > 0
    assert 0.1 < inside.mean() < 0.8
    assert drawn.pixels[inside].mean() > 2 * drawn.pixels[~inside].mean()
    met = (labels[1:] != labels[:-1]) & inside[1:] & inside[:-1]
    assert met.any()


def test_another_seed_is_another_slide():
    box = Box(0, 0, 64, 64)
    other = SlideOptions(SLIDE.shape_hw, SLIDE.object_size, seed=10)
    assert (slide_block(SLIDE, box).pixels != slide_block(other, box).pixels).any()


def test_a_window_outside_the_slide_is_refused():
    with pytest.raises(SceneError, match="inside the slide"):
        slide_block(SLIDE, Box(0, 0, 311, 10))
    with pytest.raises(SceneError, match="step"):
        slide_block(SLIDE, Box(0, 0, 10, 10), step=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 10),), "sides of 1 pixel"),
        (((10, 10), 500.0), "object_size"),
        (((10, 10), 20.0, 2.0), "noise"),
        (((10, 10), 20.0, 0.1, -1), "seed"),
        (((10_000_000, 10_000_000), 8.0), "label ids"),
    ],
)
def test_a_slide_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(SceneError, match=message):
        SlideOptions(*arguments)


def test_a_lazy_slide_draws_only_the_chunks_that_are_read():
    options = SlideOptions((8_000, 8_000), 24.0, seed=9)
    pixels, labels = lazy_slide(options, 256)
    corner = np.s_[7_800:7_900, 10:90]
    drawn = slide_block(options, Box(7_800, 10, 7_900, 90))
    for lazy, wanted in ((pixels, drawn.pixels), (labels, drawn.labels_hw)):
        window = lazy[corner]
        assert (window.compute(scheduler="synchronous") == wanted).all()
        culled, _ = window.dask.cull(window.__dask_keys__())
        assert len(culled) < 10
