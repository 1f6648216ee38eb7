"""An opened image: planes, levels and windows, whatever the pixels' type."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from pixel_types import NUMBERS
from spies import BrokenArray, SpyArray, whole

from napari_sam.errors import ImageError, ImageReadError
from napari_sam.geometry import Box
from napari_sam.images import open_image


def test_a_plain_array_is_one_plane_with_virtual_levels(noise: NDArray) -> None:
    image = open_image(noise)
    assert (image.axes, image.stack_axes, image.stack_shape) == ("yx", "", ())
    assert [level.shape for level in image.levels] == [
        (700, 900),
        (350, 450),
        (175, 225),
    ]
    assert [level.factors for level in image.levels] == [(1, 1), (2, 2), (4, 4)]
    assert [level.stored for level in image.levels] == [True, False, False]


def test_an_image_is_returned_as_it_is(noise: NDArray) -> None:
    image = open_image(noise)
    assert open_image(image) is image


def test_an_open_image_does_not_change_its_channels(noise: NDArray) -> None:
    with pytest.raises(ImageError, match="Open its source anew"):
        open_image(open_image(noise), channels=[0])


@pytest.mark.parametrize("wrap", [da.from_array, zarr.array, np.asarray])
def test_dask_zarr_and_numpy_arrays_read_alike(noise: NDArray, wrap: Any) -> None:
    image = open_image(wrap(noise))
    box = Box(10, 20, 300, 512)
    np.testing.assert_array_equal(image.read((), 0, box), noise[None, 10:300, 20:512])


def test_only_the_window_is_read(noise: NDArray) -> None:
    spy = SpyArray(noise)
    open_image(spy).read((), 0, Box(5, 5, 15, 25))
    assert spy.reads == [200]


def test_a_list_of_arrays_is_a_pyramid(noise: NDArray) -> None:
    image = open_image([noise, noise[::2, ::2], noise[::4, ::4]])
    assert all(level.stored for level in image.levels)
    assert [level.factors for level in image.levels] == [(1, 1), (2, 2), (4, 4)]
    np.testing.assert_array_equal(
        image.read((), 2, whole(image, 2)), noise[None, ::4, ::4]
    )


def test_gaps_in_a_pyramid_are_filled_with_virtual_levels(noise: NDArray) -> None:
    image = open_image([noise, noise[::8, ::8]])
    assert [lv.factors[0] for lv in image.levels] == [1, 2, 4, 8]
    assert [lv.stored for lv in image.levels] == [True, False, False, True]


def test_a_pyramid_made_with_floor_division_has_whole_factors() -> None:
    image = open_image(
        [np.zeros((1001, 999)), np.zeros((500, 499)), np.zeros((250, 249))]
    )
    assert [level.factors for level in image.levels] == [(1, 1), (2, 2), (4, 4)]


def test_a_pyramid_that_also_shrinks_in_z_takes_the_plane_that_holds_ours() -> None:
    finest = np.broadcast_to(np.arange(8)[:, None, None], (8, 600, 600))
    image = open_image([finest, finest[::2, ::2, ::2]])
    assert image.read((5,), 1, Box(0, 0, 1, 1)).item() == 4


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([], "at least one array"),
        ([[1, 2], [3, 4]], "list of arrays"),
        ([np.zeros((4, 4)), np.zeros((8, 8))], "finest first"),
        ([np.zeros((8, 8)), np.zeros((4, 4, 3))], "same axes and pixel type"),
        ([np.zeros((8, 8)), np.zeros((4, 4), "u1")], "same axes and pixel type"),
    ],
)
def test_lists_that_are_no_pyramid_are_refused(levels: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        open_image(levels)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), complex),
        np.array([["a"]]),
        np.zeros((0, 4)),
        np.zeros(9),
        3,
        None,
    ],
)
def test_what_is_no_image_is_refused(array: Any) -> None:
    with pytest.raises(ImageError):
        open_image(array)


@pytest.mark.parametrize("dtype", ["bool", *NUMBERS])
def test_every_pixel_type_is_read_and_shown(dtype: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2 if dtype == "bool" else 100, (300, 1)).astype(dtype)
    image = open_image(values)
    assert image.read((), 0, whole(image)).dtype == np.dtype(dtype).newbyteorder("=")
    for level in range(len(image.levels)):
        rgb = image.read_rgb((), level, whole(image, level))
        assert rgb.shape == (*image.levels[level].shape, 3)
        assert (rgb.min(), rgb.max()) == (0, 255) or level > 0


def test_one_range_serves_every_plane_and_window() -> None:
    stack = np.zeros((3, 64, 64), np.uint16)
    stack[0], stack[1], stack[2] = 100, 200, 300
    image = open_image(stack)
    greys = [image.read_rgb((z,), 0, Box(0, 0, 8, 8))[0, 0, 0] for z in range(3)]
    assert greys == [0, 128, 255]


def test_a_small_image_is_its_own_sample() -> None:
    values = np.random.default_rng(2).normal(size=(256, 256))
    image = open_image(values)
    low, high = np.quantile(values, [0.001, 0.999])
    np.testing.assert_allclose(image.contrast, [(low, high)], atol=0.02)


def test_the_range_is_settled_once(noise: NDArray) -> None:
    spy = SpyArray(noise)
    image = open_image(spy)
    image.read_rgb((), 0, Box(0, 0, 9, 9))
    first = len(spy.reads)
    image.read_rgb((), 0, Box(0, 0, 9, 9))
    assert len(spy.reads) == first + 1


def test_rgb_keeps_its_colours_and_reads_no_sample() -> None:
    pixels = np.random.default_rng(3).integers(0, 99, (40, 50, 4), dtype=np.uint8)
    spy = SpyArray(pixels)
    image = open_image(spy)
    assert (image.is_rgb, image.channel_count, image.channels) == (True, 3, (0, 1, 2))
    rgb = image.read_rgb((), 0, whole(image))
    np.testing.assert_array_equal(rgb, pixels[..., :3])
    assert len(spy.reads) == 1


def test_one_channel_is_grey_and_two_are_red_and_green() -> None:
    array = np.random.default_rng(4).integers(0, 99, (5, 40, 50), dtype=np.uint16)
    grey = open_image(array, axes="cyx").read_rgb((), 0, Box(0, 0, 9, 9))
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 0] == grey[..., 2]).all()
    two = open_image(array, axes="cyx", channels=[3, 1])
    red_green = two.read_rgb((), 0, Box(0, 0, 9, 9))
    assert two.read((), 0, Box(0, 0, 9, 9)).shape == (2, 9, 9)
    assert red_green[..., :2].any()
    assert not red_green[..., 2].any()


@pytest.mark.parametrize(("count", "shown"), [(1, (0,)), (3, (0, 1, 2)), (4, (0,))])
def test_up_to_three_channels_are_shown_else_the_first(
    count: int, shown: tuple[int, ...]
) -> None:
    assert open_image(np.zeros((count, 9, 9)), axes="cyx").channels == shown


@pytest.mark.parametrize("channels", [[], [0, 1, 2, 3], [5], [-1], [0, 0], ["a"], 1])
def test_channels_that_do_not_exist_are_refused(channels: Any) -> None:
    with pytest.raises(ImageError, match=r"[Cc]hannels"):
        open_image(np.zeros((5, 9, 9)), axes="cyx", channels=channels)


def test_the_users_contrast_is_kept_and_needs_no_sample() -> None:
    spy = SpyArray(np.full((9, 9), 30, np.uint16))
    image = open_image(spy, contrast_limits=(20, 40))
    assert image.read_rgb((), 0, Box(0, 0, 1, 1)).tolist() == [[[128, 128, 128]]]
    assert spy.reads == [1]


@pytest.mark.parametrize(
    "limits", [(1, 1), (2, 1), (0, np.inf), (1,), "ab", [(0, 1), (0, 1), (0, 1)]]
)
def test_contrast_limits_that_make_no_sense_are_refused(limits: Any) -> None:
    with pytest.raises(ImageError, match="low < high"):
        open_image(np.zeros((2, 9, 9)), axes="cyx", contrast_limits=limits)


@pytest.mark.parametrize("plane", [(), (3,), (-1,), (0, 0), ("z",), (1.5,)])
def test_a_plane_that_does_not_exist_is_named(plane: Any) -> None:
    image = open_image(np.zeros((3, 9, 9)))
    with pytest.raises(ImageError, match=r"z of 0\.\.2"):
        image.check_plane(plane)
    with pytest.raises(ImageError, match=r"z of 0\.\.2"):
        image.read_rgb(plane, 0, Box(0, 0, 1, 1))


def test_a_single_plane_takes_no_index() -> None:
    with pytest.raises(ImageError, match="one plane"):
        open_image(np.zeros((9, 9))).check_plane((0,))


@pytest.mark.parametrize(
    ("level", "box"),
    [(1, Box(0, 0, 1, 1)), (-1, Box(0, 0, 1, 1)), (0, Box(0, 0, 9, 10))],
)
def test_windows_and_levels_outside_of_the_image_are_refused(
    level: int, box: Box
) -> None:
    with pytest.raises(ImageError):
        open_image(np.zeros((9, 9))).read((), level, box)


def test_a_damaged_chunk_is_named_and_others_still_work(noise: NDArray) -> None:
    tall = np.vstack([noise, noise])
    image = open_image(BrokenArray(tall, (100, 300)), name="cells")
    with pytest.raises(
        ImageReadError, match=r"Chunk y=7, x=2 .*level 0 of cells"
    ) as caught:
        image.read((), 0, Box(600, 0, 800, 900))
    assert "\n" not in str(caught.value)
    assert image.read((), 0, Box(0, 0, 700, 900)).shape == (1, 700, 900)


def test_a_damaged_chunk_in_the_sample_does_not_take_the_image_away(
    noise: NDArray,
) -> None:
    tall = np.vstack([noise, noise])
    rgb = open_image(BrokenArray(tall, (100, 300))).read_rgb((), 0, Box(0, 0, 99, 99))
    assert rgb.max() > 200


def test_an_image_without_any_readable_chunk_says_so() -> None:
    broken = BrokenArray(np.zeros((701, 801)), (701, 801))
    with pytest.raises(ImageReadError, match="checksum does not match"):
        _ = open_image(broken).contrast


def test_threads_share_one_image_and_settle_its_range_once(noise: NDArray) -> None:
    spy = SpyArray(noise)
    image = open_image(spy)
    boxes = [Box(y, 0, y + 50, 900) for y in range(0, 700, 50)]
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda box: image.read_rgb((), 0, box), boxes))
    expected = open_image(noise).read_rgb((), 0, whole(image))
    np.testing.assert_array_equal(np.concatenate(rows), expected)
    assert len(spy.reads) == len(boxes) + 12  # cells of 256 pixels, 3 x 4 of them


def test_fingerprints_tell_arrays_channels_and_contrast_apart() -> None:
    array, other = np.zeros((2, 9, 9)), np.zeros((2, 9, 9))
    other[1, 8, 8] = 1
    images = [
        open_image(array, axes="cyx"),
        open_image(other, axes="cyx"),
        open_image(array, axes="cyx", channels=[1]),
        open_image(array, axes="cyx", contrast_limits=(0, 1)),
    ]
    assert len({image.fingerprint for image in images}) == 4


def test_an_array_in_memory_is_known_by_its_pixels(tmp_path: Path) -> None:
    pixels = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    image = open_image(pixels)
    copies = (pixels.copy(), np.asfortranarray(pixels), [pixels.copy()])
    assert {open_image(copy).fingerprint for copy in copies} == {image.fingerprint}
    others = (pixels.astype(">u2"), pixels.reshape(30, 20), pixels[::-1])
    assert all(open_image(other).fingerprint != image.fingerprint for other in others)
    pixels[3, 4] += 1
    assert open_image(pixels).fingerprint != image.fingerprint


def test_arrays_that_would_have_to_be_read_are_new_each_time(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30), dtype=np.uint8)
    np.save(tmp_path / "mapped.npy", pixels)
    mapped = np.asarray(np.load(tmp_path / "mapped.npy", mmap_mode="r"))
    for array in (mapped, mapped[2:], da.from_array(pixels)):
        assert open_image(array).fingerprint != open_image(array).fingerprint


def test_an_image_goes_to_another_process_as_what_it_was_opened_from(
    tmp_path: Path,
) -> None:
    path = tmp_path / "stack.zarr"
    array = zarr.create_array(str(path), shape=(3, 40, 50, 4), dtype="uint16")
    array[...] = np.arange(3 * 40 * 50 * 4, dtype="uint16").reshape(3, 40, 50, 4)
    image = open_image(
        path, axes="zyxc", channels=(2, 0), contrast_limits=(5, 900), name="mine"
    )
    copy = pickle.loads(pickle.dumps(image))
    assert copy.fingerprint == image.fingerprint
    assert (copy.name, copy.axes, copy.channels) == ("mine", "zyxc", (2, 0))
    box = Box(3, 4, 30, 40)
    np.testing.assert_array_equal(
        copy.read_rgb((1,), 0, box), image.read_rgb((1,), 0, box)
    )


def test_an_image_of_an_array_does_not_go_to_another_process() -> None:
    with pytest.raises(ImageError, match="Give the array itself"):
        pickle.dumps(open_image(np.zeros((20, 20), dtype=np.uint8)))
