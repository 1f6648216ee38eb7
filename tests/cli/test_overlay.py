from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_scene import FIRST, SECOND, SIDE, Desk, click, files_in, run, write_scene
from numpy.typing import NDArray
from PIL import Image as Pictures

from napari_sam.cli.overlay import (
    LARGEST_READ,
    ShownObject,
    choose_view,
    draw_outlines,
    draw_prompts,
)
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.palette import PALETTE
from napari_sam.prompts import Click


def picture_of(file: Path) -> NDArray[np.uint8]:
    with Pictures.open(file) as picture:
        return np.asarray(picture)


def test_the_overlay_shows_the_plane_with_an_outline_for_each_object(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    file = desk.folder / "overlay.png"
    assert desk.segment("--overlay", file) == 0
    drawn = picture_of(file)
    assert drawn.shape == (SIDE * 8, SIDE * 8, 3)
    edge = drawn[(FIRST.y0 + 15) * 8, FIRST.x0 * 8]
    assert tuple(edge) == PALETTE[0]
    assert tuple(drawn[100 * 8, 100 * 8]) == (0, 0, 0)
    assert f"Overlay: {file}" in capsys.readouterr().out
    assert not [name for name in files_in(desk.folder) if name.endswith(".partial")]


def test_further_planes_get_pictures_of_their_own(desk: Desk, tmp_path: Path) -> None:
    write_scene(tmp_path / "stack.zarr", plane_count=3)
    desk.ask(
        [
            {"plane": [0], "points": [click(FIRST)]},
            {"plane": [2], "points": [click(SECOND)]},
        ]
    )
    code = run(
        *("segment", tmp_path / "stack.zarr", "--prompts", desk.prompts),
        *("--output", desk.labels, "--axes", "zyx", "--contrast", "0,255"),
        *("--overlay", tmp_path / "overlay.png"),
    )
    assert code == 0
    found = sorted(path.name for path in tmp_path.glob("*.png"))
    assert found == ["overlay.png", "overlay.z2.png"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("overlay.jpg", "call it FILE.png"),
        ("missing/overlay.png", "which is not there"),
        ("image.zarr/overlay.png", "inside of a zarr store"),
    ],
)
def test_an_overlay_that_cannot_be_written_is_told_beforehand(
    desk: Desk, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    before = files_in(desk.folder)
    assert desk.segment("--overlay", desk.folder / name) == 1
    assert words in capsys.readouterr().err
    assert files_in(desk.folder) == before


def test_an_overlay_does_not_overwrite_the_image(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "image.png"
    Pictures.fromarray(np.zeros((200, 200), np.uint8)).save(image)
    before = image.read_bytes()
    code = run(
        *("segment", image, "--prompts", desk.prompts),
        *("--output", desk.labels, "--overlay", image),
    )
    assert code == 1
    assert "which is read" in capsys.readouterr().err
    assert image.read_bytes() == before


def test_an_overlay_that_fails_to_be_written_is_a_failure(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Pictures.Image, "save", full)
    assert desk.segment("--overlay", desk.folder / "overlay.png") == 1
    told = capsys.readouterr()
    assert "overlay.png: No space left on device." in told.err
    assert "(3 objects written)" in told.out


def test_a_negative_click_is_drawn_in_another_shape_than_a_positive_one() -> None:
    drawn = []
    for positive in (True, False):
        picture = Pictures.new("RGB", (40, 40))
        draw_prompts(picture, [Click(20, 20, positive)], lambda y, x: (y, x), None)
        drawn.append(np.asarray(picture).any(axis=2))
    assert (drawn[0] != drawn[1]).sum() > 20


def test_outlines_leave_the_inside_of_an_object_visible() -> None:
    canvas_hwc = np.full((60, 60, 3), 77, dtype=np.uint8)
    labels_hw = np.zeros((60, 60), dtype=np.uint32)
    labels_hw[10:50, 10:50] = 2
    drawn = draw_outlines(canvas_hwc, labels_hw)
    assert tuple(drawn[10, 30]) == PALETTE[1]
    assert (drawn[20:40, 20:40] == 77).all()
    assert (drawn[:5] == 77).all()


class CountedArray:
    """A very large array of which nothing may be read."""

    shape = (100_000, 100_000)
    dtype = np.dtype(np.uint8)
    chunks = (1024, 1024)

    def __getitem__(self, index: object) -> NDArray[np.uint8]:
        raise AssertionError(index)


def test_of_a_huge_plane_without_a_pyramid_only_the_part_with_prompts_is_shown() -> (
    None
):
    image = open_image(CountedArray())
    shown = ShownObject(
        (Click(50_000, 50_000),), 1, Box(49_900, 49_900, 50_300, 50_200)
    )
    view = choose_view(image, [shown])
    assert view.level == 0
    assert view.box.area < LARGEST_READ
    assert view.box.contains(Box(49_900, 49_900, 50_300, 50_200))
