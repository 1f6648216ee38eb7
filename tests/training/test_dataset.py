"""Crops to train on: reproducible, consistent, and refused where nothing can be."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.io import imsave

from napari_sam.errors import ImageError
from napari_sam.training.dataset import (
    SMALLEST_OBJECT,
    AnnotatedImage,
    Crop,
    CropOptions,
    CropSampler,
    read_folder,
)

OPTIONS = CropOptions(size=64, prompts=5, object_size=(10, 20), box_share=0.5)


def discs() -> AnnotatedImage:
    """Nine discs of their own grey."""
    rows, columns = np.mgrid[:120, :150]
    labels = np.zeros((120, 150), dtype=np.uint16)
    for i, (y, x) in enumerate(itertools.product((20, 60, 100), (25, 75, 125))):
        labels[(rows - y) ** 2 + (columns - x) ** 2 <= 12**2] = i + 1
    grey = (labels > 0).astype(np.uint8) * 150 + 40
    return AnnotatedImage("discs", np.repeat(grey[..., None], 3, axis=2), labels)


def crops(count: int, seed: int = 1, options: CropOptions = OPTIONS) -> list[Crop]:
    return list(itertools.islice(CropSampler([discs()], options, seed), count))


def test_the_same_seed_draws_the_same_crops() -> None:
    for a, b in zip(crops(3), crops(3), strict=True):
        for name in ("image_chw", "labels_hw", "masks_nhw", "points_n2", "boxes_n4"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert a.asks_boxes == b.asks_boxes


def test_another_seed_draws_others() -> None:
    assert (crops(1)[0].image_chw != crops(1, seed=2)[0].image_chw).any()


@pytest.mark.parametrize("size", [64, 256])
def test_a_crop_has_the_shapes_that_were_asked_for(size: int) -> None:
    options = CropOptions(size=size, prompts=4)
    crop = crops(1, options=options)[0]
    assert (crop.image_chw.shape, crop.image_chw.dtype) == ((3, size, size), np.uint8)
    assert crop.labels_hw.shape == (size, size)
    assert (crop.masks_nhw.shape, crop.masks_nhw.dtype) == ((4, size, size), np.bool_)
    assert crop.points_n2.shape == (4, 2)
    assert crop.boxes_n4.shape == (4, 4)


def test_prompts_point_at_their_masks() -> None:
    for crop in crops(8):
        for mask, point in zip(crop.masks_nhw, crop.points_n2, strict=True):
            column, row = point.astype(int)
            assert mask[row, column]
            assert mask.sum() >= SMALLEST_OBJECT
            assert len(np.unique(crop.labels_hw[mask])) == 1
        assert (crop.boxes_n4 >= 0).all()
        assert (crop.boxes_n4 <= OPTIONS.size - 1).all()


def test_a_box_is_off_by_a_fraction_of_its_object() -> None:
    for crop in crops(8):
        for mask, box in zip(crop.masks_nhw, crop.boxes_n4, strict=True):
            rows, columns = np.nonzero(mask)
            exact = [columns.min(), rows.min(), columns.max(), rows.max()]
            assert np.abs(box - exact).max() <= 20
            assert box[0] < columns.mean() < box[2]
            assert box[1] < rows.mean() < box[3]


def test_some_crops_ask_with_boxes_and_some_with_clicks() -> None:
    assert {crop.asks_boxes for crop in crops(12)} == {True, False}
    assert not any(c.asks_boxes for c in crops(4, options=CropOptions(64, box_share=0)))


def test_images_without_objects_are_refused() -> None:
    empty = AnnotatedImage(
        "empty", np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint16)
    )
    with pytest.raises(ImageError, match="got 1 images with none"):
        CropSampler([empty], OPTIONS, 1)
    assert next(iter(CropSampler([empty, discs()], OPTIONS, 1))).masks_nhw.any()


def folder_with(tmp_path: Path, pixels: np.ndarray, labels: np.ndarray) -> Path:
    for kind, array in (("images", pixels), ("labels", labels)):
        (tmp_path / kind).mkdir()
        imsave(tmp_path / kind / "one.tif", array, check_contrast=False)
    return tmp_path


@pytest.mark.parametrize(
    "pixels",
    [
        discs().pixels_hwc,
        discs().pixels_hwc[..., 0],
        discs().pixels_hwc[..., 0].astype(np.uint16) * 200,
        discs().pixels_hwc.astype(np.uint16) * 200,
        discs().pixels_hwc[..., 0] / np.float32(1000),
    ],
)
def test_every_kind_of_image_becomes_rgb(tmp_path: Path, pixels: np.ndarray) -> None:
    (image,) = read_folder(folder_with(tmp_path, pixels, discs().labels_hw))
    assert image.name == "one"
    assert (image.pixels_hwc.shape, image.pixels_hwc.dtype) == ((120, 150, 3), np.uint8)
    inside = image.labels_hw > 0
    assert image.pixels_hwc[inside].min() > image.pixels_hwc[~inside].max()
    np.testing.assert_array_equal(image.labels_hw, discs().labels_hw)


def test_a_folder_without_images_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="needs a folder images/"):
        read_folder(tmp_path)


def test_a_missing_label_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(discs().pixels_hwc).save(tmp_path / "images" / "lonely.png")
    with pytest.raises(ImageError, match="lonely has no label image"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (discs().labels_hw[:-1], r"shape \(119, 150\)"),
        (discs().labels_hw.astype(np.uint32) + 70_000, "ids 70000 to 70009"),
        (discs().labels_hw.astype(np.int16) - 1, "ids -1 to 8"),
    ],
)
def test_labels_that_do_not_fit_say_why(
    tmp_path: Path, labels: np.ndarray, complaint: str
) -> None:
    with pytest.raises(ImageError, match=complaint):
        read_folder(folder_with(tmp_path, discs().pixels_hwc, labels))
