from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from cli_scene import Regions, labels_of, run
from ome_zarr_models.v05 import Image as OmeImage

from napari_sam.cli import demo
from napari_sam.cli.reporting import OneLineErrors, in_one_line
from napari_sam.cli.request import RequestError, Rule, Version
from napari_sam.errors import SamError
from napari_sam.geometry import Box
from napari_sam.labels import OverlapRule
from napari_sam.ome_zarr import ZARR_FORMATS
from napari_sam.prompts import Click, check_inside

HEAVY = ("torch", "zarr", "numpy", "scipy", "dask", "skimage", "napari")


@pytest.mark.slow
def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from napari_sam.cli import main\n"
        "try:\n"
        "    main(['segment', '--help'])\n"
        "finally:\n"
        f"    print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "src", "PATH": ""},
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--overlay" in done.stdout


def test_the_choices_of_options_are_those_of_the_labels() -> None:
    assert [rule.value for rule in Rule] == [rule.value for rule in OverlapRule]
    assert {version.value for version in Version} == set(ZARR_FORMATS)


def test_models_are_listed_with_licence_and_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAPARI_SAM_CACHE", str(tmp_path))
    assert run("models") == 0
    told = capsys.readouterr().out
    row = next(line for line in told.splitlines() if line.split()[:1] == ["vit_b"])
    assert row.split() == ["vit_b", "SAM", "375", "MB", "Apache-2.0", "no", "no"]
    assert str(tmp_path) in told
    assert "embedded" in told


def test_a_model_in_the_cache_is_listed_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAPARI_SAM_CACHE", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mobile_sam.pt").write_bytes(b"123")
    assert run("models", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in listed["models"]}
    assert listed["cache"] == str(tmp_path / "models")
    assert (rows["vit_t"]["in_cache"], rows["vit_t"]["size_bytes"]) == (True, 3)
    assert (rows["vit_h"]["in_cache"], rows["default"]["embedded"]) == (False, True)


@pytest.fixture
def scenery(monkeypatch: pytest.MonkeyPatch, model: Regions) -> Regions:
    """A model that sees an object wherever it is pointed at, and no skimage."""
    pixels_hw = np.full((303, 384), 90, dtype=np.uint8)
    pixels_hw[::64] = pixels_hw[:, ::64] = 255
    pixels_hw[-8:] = 0  # what is darkest is stretched to black, which is no object
    monkeypatch.setattr("napari_sam.cli.demo.demo_pixels", lambda: pixels_hw)
    model.window_size = 512
    return model


def test_the_demo_ends_with_the_places_of_labels_and_overlay(
    tmp_path: Path, scenery: Regions, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    for _ in range(2):
        run("demo", "--output", folder)
        told = capsys.readouterr().out.splitlines()
        assert told[-2].startswith(f"Labels: {folder / 'labels.ome.zarr'} (")
        assert told[-1] == f"Overlay: {folder / 'overlay.png'}"
        assert any("score 0.90" in line for line in told)
    assert labels_of(folder / "labels.ome.zarr").max() <= len(demo.OBJECTS)
    assert (folder / "overlay.png").is_file()
    OmeImage.from_zarr(zarr.open_group(folder / "image.ome.zarr", mode="r"))


def test_the_demo_replaces_no_image_of_somebody_else(
    tmp_path: Path, scenery: Regions, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = tmp_path / "image.ome.zarr"
    theirs.mkdir()
    (theirs / "precious.txt").write_text("data")
    assert run("demo", "--output", tmp_path) == 1
    assert "which it did not write" in capsys.readouterr().err
    assert (theirs / "precious.txt").read_text() == "data"


@pytest.mark.slow
def test_the_demo_finds_every_object_with_the_embedded_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("demo", "--output", tmp_path) == 0
    labels = labels_of(tmp_path / "labels.ome.zarr")
    for item in demo.OBJECTS:
        prompt = item.prompts[0]
        row, column = (
            prompt.pixel
            if isinstance(prompt, Click)
            else (int(n) for n in prompt.box.center)
        )
        assert labels[row, column] == item.label_id
        area = np.count_nonzero(labels == item.label_id)
        assert 30**2 * 0.785 < area < 66**2 * 0.785  # coins are 30 to 66 pixels across


def test_the_demos_image_comes_without_a_network_and_holds_its_prompts() -> None:
    pixels_hw = demo.demo_pixels()
    assert pixels_hw.dtype == np.uint8
    height, width = pixels_hw.shape
    for item in demo.OBJECTS:
        check_inside(item.prompts, Box(0, 0, height, width))


def test_the_pyramid_of_the_demos_image_is_block_means(tmp_path: Path) -> None:
    pixels_hw = np.random.default_rng(1).integers(0, 256, (301, 260), np.uint8)
    demo.write_image(pixels_hw, tmp_path / "a.zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(group["0"][...], pixels_hw)
    assert group["1"].shape == (150, 130)
    mean = pixels_hw[2:4, 4:6].astype(float).mean()
    assert abs(group["1"][1, 2] - mean) <= 0.5


def test_an_unexpected_error_is_one_line_that_names_debug(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop, OneLineErrors(debug=False):
        raise KeyError("oops")
    assert stop.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "unexpected KeyError" in lines[0]
    assert "--debug" in lines[0]


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), OneLineErrors(debug=True):
        raise RequestError("That cannot be.")
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert told.splitlines()[-1] == "napari-sam: error: That cannot be."


def test_an_interrupt_before_the_first_object_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop, OneLineErrors(debug=False):
        raise KeyboardInterrupt
    assert stop.value.code == 130
    assert "before anything was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            SamError("No.\nSave it so:\n    a = 1\n    b = 2"),
            "No. Save it so: a = 1; b = 2.",
        ),
        (OSError(28, "No space left", "/x"), "No space left: /x."),
        (OSError(28, "Nothing was changed"), "Nothing was changed."),
        (ValueError(), "ValueError."),
    ],
)
def test_errors_fit_into_one_line(error: Exception, line: str) -> None:
    assert in_one_line(error) == line
