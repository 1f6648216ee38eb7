"""`napari-sam segment` without prompts."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import zarr
from cli_scene import CHUNK, OBJECTS, SIDE, Desk, labels_of, run, write_scene

from napari_sam.cli.request import (
    RequestError,
    chosen_planes,
    parse_planes,
    parse_region,
)
from napari_sam.geometry import Box


def everything(desk: Desk, *options: object) -> int:
    return run(
        *("segment", desk.image, "--output", desk.labels, "--contrast", "0,255"),
        *("--object-size", 30, "--no-skip-empty", *options),
    )


def assert_all_objects(labels: np.ndarray) -> None:
    ids = set()
    for box in OBJECTS:
        (label_id,) = np.unique(labels[box.slices])
        ids.add(int(label_id))
    assert ids == {1, 2, 3}
    assert np.count_nonzero(labels) == sum(box.area for box in OBJECTS)


def test_without_prompts_every_object_is_written_and_listed(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    table, picture = desk.folder / "objects.csv", desk.folder / "overlay.png"
    code = everything(desk, "--objects", table, "--overlay", picture)
    assert code == 0
    assert_all_objects(labels_of(desk.labels))
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(int(row["area"]) for row in rows) == sorted(b.area for b in OBJECTS)
    assert picture.stat().st_size > 0
    said = capsys.readouterr().out
    assert "3 objects" in said
    assert "estimated" not in said


def test_an_estimated_object_size_is_told_so_that_it_can_be_corrected(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("segment", desk.image, "--output", desk.labels, "--contrast", "0,255")
    assert run(*command) == 0
    assert "pixels, estimated; if that is wrong" in capsys.readouterr().out


def test_a_picture_needs_labels_on_a_local_disk(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("segment", desk.image, "--output", "memory://bucket/labels.zarr")
    assert run(*command, "--overlay", desk.folder / "overlay.png") == 1
    assert "--overlay needs labels on a local disk" in capsys.readouterr().err


def test_the_same_command_again_has_nothing_to_do(desk: Desk) -> None:
    assert everything(desk) == 0
    before = desk.labels.stat().st_mtime_ns
    assert everything(desk) == 0
    assert desk.labels.stat().st_mtime_ns == before


def test_another_command_at_the_same_place_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert everything(desk) == 0
    assert everything(desk, "--region", "0,0,100,100") == 1
    assert "--overwrite" in capsys.readouterr().err
    assert everything(desk, "--region", "0,0,100,100", "--overwrite") == 0
    labels = labels_of(desk.labels)
    assert len(np.unique(labels)) == 2  # background and one object
    assert not labels[100:].any()


def test_a_chunk_that_cannot_be_read_is_told_and_tried_again(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    last = (SIDE - 1) // CHUNK
    chunk = desk.image / "c" / str(last) / str(last)
    good = chunk.read_bytes()
    chunk.write_bytes(b"spoiled")
    assert everything(desk) == 1
    told = capsys.readouterr().err
    assert "windows failed" in told
    assert f"y={last}, x={last}" in told
    chunk.write_bytes(good)
    assert everything(desk) == 0
    assert_all_objects(labels_of(desk.labels))


def test_planes_of_a_stack_can_be_chosen(desk: Desk) -> None:
    stack = write_scene(desk.folder / "stack.zarr", 3)
    code = run(
        *("segment", stack, "--output", desk.labels, "--contrast", "0,255"),
        *("--object-size", 30, "--planes", "0,2"),
    )
    assert code == 0
    filled = [bool(labels_of(desk.labels, (z,)).any()) for z in range(3)]
    assert filled == [True, False, True]


def test_the_old_ome_zarr_version_can_be_asked_for(desk: Desk) -> None:
    assert everything(desk, "--ome-zarr-version", "0.4") == 0
    assert zarr.open_group(desk.labels, mode="r").metadata.zarr_format == 2
    assert_all_objects(labels_of(desk.labels))


@pytest.mark.parametrize(
    "options",
    [
        ["--rule", "merge"],
        ["--region", "0,0,0,5"],
        ["--region", "1,2,3"],
        ["--planes", "3-1"],
        ["--planes", "a"],
    ],
)
def test_options_that_make_no_sense_are_usage_errors(
    desk: Desk, options: list[str]
) -> None:
    assert everything(desk, *options) == 2
    assert not desk.labels.exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--object-size", "30"],
        ["--planes", "0"],
        ["--no-skip-empty"],
        ["--objects", "x.csv"],
    ],
)
def test_options_for_everything_are_refused_with_prompts(
    desk: Desk, options: list[str]
) -> None:
    assert desk.segment(*options) == 2
    assert not desk.labels.exists()


@pytest.mark.parametrize(
    "options", [["--region", "0,0,900,9"], ["--object-size", "-1"], ["--level", "9"]]
)
def test_what_the_image_does_not_have_is_refused(
    desk: Desk, options: list[str]
) -> None:
    assert everything(desk, *options) == 1
    assert not desk.labels.exists()


def test_planes_and_regions_are_read_as_they_are_written() -> None:
    assert parse_region("1,2,30,40") == Box(1, 2, 30, 40)
    spans = parse_planes("0/4-5,7")
    assert chosen_planes(spans, "tz", (2, 8)) == [(0, 4), (0, 5), (0, 7)]
    assert chosen_planes(parse_planes("*/1"), "tz", (2, 8)) == [(0, 1), (1, 1)]
    assert chosen_planes(None, "tz", (2, 8)) is None
    with pytest.raises(RequestError, match="stack axes"):
        chosen_planes(parse_planes("1"), "tz", (2, 8))
    with pytest.raises(RequestError, match="0 to 7"):
        chosen_planes(parse_planes("0/8"), "tz", (2, 8))


def test_a_folder_that_cannot_be_written_is_told_before_the_model_is_loaded(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = desk.folder / "blocked"
    blocked.write_text("a file")
    code = run("segment", desk.image, "--output", Path(blocked) / "labels.ome.zarr")
    assert code == 1
    assert "cannot" in capsys.readouterr().err
