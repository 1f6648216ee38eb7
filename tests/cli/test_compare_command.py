"""`napari-sam compare`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from cli_scene import run
from PIL import Image as Pillow


@pytest.fixture
def volumes(tmp_path: Path) -> tuple[Path, Path]:
    """Tested zarr and reference PNG: one object alike, one missed."""
    reference = np.zeros((30, 40), dtype=np.uint16)
    reference[2:12, 2:12], reference[15:25, 20:30] = 1, 300
    tested = np.where(reference == 1, 7, 0).astype(np.uint32)
    paths = tmp_path / "tested.zarr", tmp_path / "reference.png"
    zarr.create_array(str(paths[0]), data=tested, chunks=(16, 16))
    Pillow.fromarray(reference).save(paths[1])
    return paths


def test_without_a_folder_tables_are_printed(
    volumes: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("compare", *volumes) == 0
    told = capsys.readouterr()
    rows = [line.split() for line in told.out.splitlines()]
    assert ["0.50", "1", "0", "1", "1.000", "0.500", "0.667", "0.500"] in rows
    assert ["missed", "1"] in rows
    assert told.err == ""


def test_with_a_folder_three_files_are_written(
    volumes: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "report"
    assert run("compare", *volumes, "--output", folder) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "compare.json",
        "compare.md",
        "objects.csv",
    ]
    assert json.loads((folder / "compare.json").read_text())["missed"] == [300]
    told = capsys.readouterr().out
    assert f"Report: {folder / 'compare.md'}" in told
    assert "mSA 0.500, PQ 0.667" in told


def test_other_shapes_are_one_line_of_error(
    volumes: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.npy"
    np.save(other, np.zeros((30, 41), dtype=np.uint8))
    assert run("compare", volumes[0], other) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "(30, 40)" in lines[0]
    assert "(30, 41)" in lines[0]


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_read(
    volumes: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert run("compare", tmp_path / "missing.tif", volumes[1], "--output", taken) == 1
    told = capsys.readouterr().err
    assert "taken" in told
    assert "missing.tif" not in told
