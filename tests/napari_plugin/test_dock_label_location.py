"""Labels go where they last, and where the image can still be opened."""

import os
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image
from napari.layers._source import layer_source
from plugin_scene import noise, ome_zarr

from napari_sam.annotator import label_location
from napari_sam.annotator.label_location import LabelsProposal, propose_labels
from napari_sam.labels import LabelGeometry, LabelStore
from napari_sam.napari_plugin.sources import LayerSource

PIXELS = noise(64, 72)


def proposal_for(path: Path | None, name: str = "nuclei") -> LabelsProposal:
    with layer_source(path=None if path is None else str(path)):
        layer = Image(PIXELS, name=name)
    source = LayerSource.of(layer)
    opened = source.open()
    return propose_labels(
        opened.image, opened.file, source.path, layer.name, in_image=True
    )


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    return ome_zarr(tmp_path / "slide.ome.zarr", PIXELS, "yx")


@pytest.fixture
def no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_location, "READER", "no_such_package")


def make_labels(path: Path) -> None:
    LabelStore.open(path, LabelGeometry.of_shape("yx", (64, 72))).close()


def test_an_ome_zarr_image_keeps_its_labels_inside(slide: Path) -> None:
    proposal = proposal_for(slide)
    assert proposal.path == slide / "labels" / "napari-sam"
    assert str(proposal.path) in proposal.text
    make_labels(proposal.path)
    assert proposal_for(slide) == proposal


@pytest.mark.usefixtures("no_reader")
def test_without_a_reader_that_copes_with_labels_they_go_beside(slide: Path) -> None:
    assert proposal_for(slide).path == slide.parent / "slide.labels.ome.zarr"


@pytest.mark.usefixtures("no_reader")
def test_labels_that_are_inside_already_are_gone_on_with(slide: Path) -> None:
    inside = slide / "labels" / "napari-sam"
    make_labels(inside)
    assert proposal_for(slide).path == inside


def test_labels_that_are_beside_already_are_gone_on_with(slide: Path) -> None:
    beside = slide.parent / "slide.labels.ome.zarr"
    make_labels(beside)
    assert proposal_for(slide).path == beside


def test_a_file_gets_its_labels_beside(tmp_path: Path) -> None:
    path = tmp_path / "cells.npy"
    np.save(path, PIXELS)
    proposal = proposal_for(path)
    assert proposal.path == tmp_path / "cells.labels.ome.zarr"
    assert not proposal.is_temporary


def test_layers_of_a_foreign_file_do_not_share_labels(tmp_path: Path) -> None:
    path = tmp_path / "plate.czi"
    path.write_text("another format")
    places = [proposal_for(path, name).path for name in ("scene 1", "scene/2")]
    assert [place.name for place in places] == [
        "plate.czi.scene-1.labels.ome.zarr",
        "plate.czi.scene-2.labels.ome.zarr",
    ]


def test_an_image_in_memory_gets_a_temporary_place_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    proposal = proposal_for(None)
    assert proposal.is_temporary
    assert tmp_path in proposal.path.parents
    assert str(proposal.path) in proposal.text
    make_labels(proposal.path)
    assert proposal_for(None).path != proposal.path


def test_a_folder_that_cannot_be_written_is_left_alone(
    slide: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests may run as root, who can write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    proposal = proposal_for(slide)
    assert proposal.is_temporary
    assert "cannot be written" in proposal.text
