"""Labels go where they last, and where the image can still be opened."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_sam.annotator import label_location
from napari_sam.annotator.label_location import LabelsProposal, propose_labels
from napari_sam.images import open_image
from napari_sam.labels import LabelGeometry, LabelStore

PIXELS = np.random.default_rng(2).integers(0, 255, (64, 72), dtype=np.uint8)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """An OME-Zarr image of one level, as few metadata as there can be."""
    path = tmp_path / "slide.ome.zarr"
    group = zarr.create_group(path, zarr_format=3)
    group.create_array("0", data=PIXELS)
    scale = {"type": "scale", "scale": [1.0, 1.0]}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [dataset]}],
    }
    return path


def proposed(path: Path, *, in_image: bool = False) -> LabelsProposal:
    return propose_labels(open_image(path), str(path), in_image=in_image)


def make_labels(path: Path) -> None:
    LabelStore.open(path, LabelGeometry.of_shape("yx", (64, 72))).close()


@pytest.fixture
def no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_location, "READER", "no_such_package")


def test_labels_go_beside_an_image_or_into_it_as_a_screen_wants(slide: Path) -> None:
    assert proposed(slide).path == slide.parent / "slide.labels.ome.zarr"
    inside = proposed(slide, in_image=True)
    assert inside.path == slide / "labels" / "napari-sam"
    assert str(inside.path) in inside.text
    make_labels(inside.path)
    assert proposed(slide, in_image=True) == inside


@pytest.mark.usefixtures("no_reader")
def test_without_a_reader_that_copes_with_labels_they_go_beside(slide: Path) -> None:
    beside = slide.parent / "slide.labels.ome.zarr"
    assert proposed(slide, in_image=True).path == beside


@pytest.mark.usefixtures("no_reader")
def test_labels_that_are_inside_already_are_gone_on_with(slide: Path) -> None:
    inside = slide / "labels" / "napari-sam"
    make_labels(inside)
    assert proposed(slide, in_image=True).path == inside


def test_labels_that_are_beside_already_are_gone_on_with(slide: Path) -> None:
    beside = slide.parent / "slide.labels.ome.zarr"
    make_labels(beside)
    assert proposed(slide, in_image=True).path == beside


def test_arrays_of_a_foreign_file_do_not_share_labels(tmp_path: Path) -> None:
    path = tmp_path / "plate.czi"
    path.write_text("another format")
    image = open_image(PIXELS)
    proposals = [
        propose_labels(image, None, str(path), name) for name in ("scene 1", "scene/2")
    ]
    assert [proposal.path.name for proposal in proposals] == [
        "plate.czi.scene-1.labels.ome.zarr",
        "plate.czi.scene-2.labels.ome.zarr",
    ]


def test_an_array_gets_a_temporary_location_that_the_text_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    image = open_image(PIXELS)
    proposal = propose_labels(image, None)
    assert proposal.is_temporary
    assert tmp_path in proposal.path.parents
    assert str(proposal.path) in proposal.text
    assert propose_labels(image, None).path != proposal.path


def test_the_same_array_finds_its_labels_in_a_folder_again(tmp_path: Path) -> None:
    one, same, other = (
        propose_labels(open_image(pixels), None, folder=tmp_path)
        for pixels in (PIXELS, PIXELS.copy(), PIXELS + 1)
    )
    assert one == same
    assert one.path.parent == tmp_path
    assert one.path != other.path
    assert not one.is_temporary


@pytest.mark.parametrize("folder", [None, Path("elsewhere")])
def test_a_folder_that_cannot_be_written_is_left_alone(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path | None
) -> None:
    # The tests may run as root, who can write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    proposal = propose_labels(open_image(slide), str(slide), folder=folder)
    assert proposal.is_temporary is (folder is None)
    assert "cannot be written" in proposal.text
