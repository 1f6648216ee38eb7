"""Stacks that lie in files of one plane each."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_sam.errors import ImageError, ImageReadError
from napari_sam.geometry import Box
from napari_sam.images import from_files, open_image

BOX = Box(0, 0, 30, 40)


@pytest.fixture
def planes(tmp_path: Path) -> list[NDArray[np.uint16]]:
    """Twelve planes in files whose numbers have no zeros in front."""
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 999, (30, 40), dtype=np.uint16) for _ in range(12)]
    for number, pixels in enumerate(found):
        tifffile.imwrite(tmp_path / f"cell_z{number}.tif", pixels)
    (tmp_path / "._cell_z0.tif").write_bytes(b"of another system")
    (tmp_path / "notes.txt").write_text("not a picture")
    return found


@pytest.mark.parametrize("kind", ["folder", "pattern", "list"])
def test_planes_come_in_the_order_in_which_people_count(
    tmp_path: Path, planes: list[NDArray], kind: str
) -> None:
    sources = {
        "folder": tmp_path,
        "pattern": str(tmp_path / "cell_z*.tif"),
        "list": [tmp_path / f"cell_z{n}.tif" for n in range(12)],
    }
    with open_image(sources[kind]) as image:
        assert (image.stack_axes, image.stack_shape) == ("z", (12,))
        for number in (0, 2, 11):
            window = image.read((number,), 0, BOX)[0]
            np.testing.assert_array_equal(window, planes[number])


def test_few_files_are_open_at_once(
    tmp_path: Path, planes: list[NDArray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_files, "MOST_OPEN", 2)
    with open_image(tmp_path) as image:
        for number in (*range(12), *range(12)):
            window = image.read((number,), 0, BOX)[0]
            np.testing.assert_array_equal(window, planes[number])


def test_a_file_of_another_size_is_named(tmp_path: Path, planes: list) -> None:
    tifffile.imwrite(tmp_path / "cell_z5.tif", np.zeros((9, 9), np.uint16))
    image = open_image(tmp_path)
    with pytest.raises(ImageReadError, match=r"cell_z5\.tif"):
        image.read((5,), 0, BOX)
    image.close()


def test_files_that_are_stacks_themselves_are_refused(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((5, 30, 40), np.uint16))
    with pytest.raises(ImageError, match="one plane in each"):
        open_image(tmp_path)


def test_a_pattern_that_names_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="at least one file"):
        open_image(str(tmp_path / "z*.tif"))
