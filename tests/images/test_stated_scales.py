"""A stated scale counts on every axis; sizes are the fallback."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.images.levels import axis_factor


def write_pyramid(
    path: Path, levels: list[NDArray], axes: str, scales: list[tuple[float, ...]]
) -> Path:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    for name, level in enumerate(levels):
        group.create_array(str(name), data=level, chunks=(1, 64, 64)[-level.ndim :])
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": a, "type": "space"} for a in axes],
            "datasets": [
                {
                    "path": str(i),
                    "coordinateTransformations": [
                        {"type": "scale", "scale": list(scale)}
                    ],
                }
                for i, scale in enumerate(scales)
            ],
        }
    ]
    return path


def test_a_padded_level_has_the_scale_that_is_stated(tmp_path: Path) -> None:
    fine = np.zeros((1000, 1000), np.uint16)
    fine[900:960, 900:960] = 1000
    coarse = np.zeros((512, 512), np.uint16)
    coarse[:500, :500] = fine[::2, ::2]
    path = write_pyramid(tmp_path / "a.zarr", [fine, coarse], "yx", [(1, 1), (2, 2)])
    image = open_image(path)
    assert image.levels[1].factors == (2, 2)
    rows = np.nonzero(image.read((), 1, Box(0, 0, 512, 512))[0])[0]
    assert rows.min() * 2 == 900


@pytest.mark.parametrize("count", [4, 5])
def test_a_plane_is_read_from_the_coarse_plane_that_holds_it(
    tmp_path: Path, count: int
) -> None:
    fine = (
        np.zeros((9, 64, 64), np.uint16) + np.arange(9, dtype=np.uint16)[:, None, None]
    )
    coarse = np.stack([fine[2 * i] // 2 for i in range(count)])[:, ::2, ::2]
    scales = [(1.0, 1, 1), (2.0, 2, 2)]
    image = open_image(
        write_pyramid(tmp_path / "z.zarr", [fine, coarse], "zyx", scales)
    )
    read = [int(image.read((z,), 1, Box(0, 0, 8, 8)).max()) for z in range(9)]
    assert read == [min(z // 2, count - 1) for z in range(9)]


@pytest.mark.parametrize(
    ("size", "finest", "claimed", "chunk", "factor"),
    [
        (500, 1000, None, 1, 2),  # sizes alone
        (500, 1001, None, 1, 2),  # a pixel was dropped
        (512, 1000, 2.0, 256, 2),  # padded to whole chunks
        (512, 1000, None, 256, 1000 / 512),  # nobody says so
        (4, 9, 2.0, 1, 2),  # the last plane was dropped
        (250, 1000, 2.0, 1, 4),  # a claim that the sizes contradict
        (400, 1000, 2.5, 1, 2.5),  # not by whole numbers
        (100, 100, 0.0, 1, 1),  # a claim that says nothing
    ],
)
def test_the_claim_counts_where_the_sizes_allow_it(
    size: int, finest: int, claimed: float | None, chunk: int, factor: float
) -> None:
    assert axis_factor(size, finest, claimed, chunk) == factor
