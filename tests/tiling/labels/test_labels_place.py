"""Where labels go by default, and which options make no sense."""

from pathlib import Path

import pytest
import zarr
from zarr.storage import LocalStore

from napari_sam.errors import LabelError
from napari_sam.tiling.labels import LabelOptions, default_labels_path


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
