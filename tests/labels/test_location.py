"""Where labels go by default, and which options make no sense."""

from pathlib import Path

import pytest
import zarr
from zarr.storage import LocalStore

from napari_sam.errors import LabelError
from napari_sam.labels import (
    LabelGeometry,
    LabelOptions,
    LabelStore,
    default_labels_path,
)


def test_options_that_contradict_each_other_are_refused() -> None:
    for bad in (
        {"version": "0.3"},
        {"overwrite": True, "restore": True},
        {"chunk_size": 0},
        {"chunk_size": 100, "shard_size": 150},
    ):
        with pytest.raises(LabelError):
            LabelOptions(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (None, "labels.ome.zarr"),
        ("data/slide.ome.zarr", "data/slide.labels.ome.zarr"),
        ("data/slide.zarr/", "data/slide.labels.ome.zarr"),
        ("data/slide.ome.tif", "data/slide.labels.ome.zarr"),
        ("data/slide.v2.png", "data/slide.v2.labels.ome.zarr"),
        ("file:///data/slide.tiff", "/data/slide.labels.ome.zarr"),
        ("https://host/a/slide.zarr/?sign=1", "slide.labels.ome.zarr"),
        ("s3://bucket/slide.ome.zarr", "slide.labels.ome.zarr"),
    ],
)
def test_the_default_place_is_beside_the_image(source: str | None, place: str) -> None:
    assert default_labels_path(source) == Path(place)


def test_the_default_place_is_outside_of_the_store_that_the_image_is_in(
    tmp_path: Path,
) -> None:
    path = tmp_path / "plate.zarr"
    for node in (path, path / "3"):
        zarr.create_group(LocalStore(node))
    assert default_labels_path(path / "3") == tmp_path / "plate.3.labels.ome.zarr"


def test_stray_zarr_metadata_above_do_not_make_one_store_of_everything(
    tmp_path: Path,
) -> None:
    zarr.create_group(LocalStore(tmp_path))
    data = tmp_path / "data"
    zarr.create_group(LocalStore(data / "slide.zarr"))
    place = data / "slide.labels.ome.zarr"
    assert default_labels_path(data / "slide.zarr") == place
    with LabelStore.open(place, LabelGeometry.of_shape("yx", (9, 9))):
        pass
    assert not tmp_path.with_name(f"{tmp_path.name}.napari-sam").exists()


def test_folders_that_zarr_does_not_know_stay_part_of_the_store_they_are_in(
    tmp_path: Path,
) -> None:
    zarr.create_group(LocalStore(tmp_path / "slide.zarr"))
    inner = tmp_path / "slide.zarr" / "other" / "labels.zarr"
    inner.parent.mkdir()
    with pytest.raises(LabelError, match="inside of the zarr store"):
        LabelStore.open(inner, LabelGeometry.of_shape("yx", (9, 9)))
    assert not any(inner.parent.iterdir())
