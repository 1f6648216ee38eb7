"""OME-Zarr metadata: what is written is read, and so is what validators refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import ome_zarr_models
import pytest
import zarr
from pydantic import ValidationError
from zarr.storage import MemoryStore

from napari_sam.errors import ImageError
from napari_sam.images import open_image
from napari_sam.ome_zarr import (
    CoordinateTransform,
    Multiscale,
    group_attributes,
    read_multiscale,
)

FORMATS: dict[str, Any] = {"0.4": 2, "0.5": 3}
SPACE = [{"name": name, "type": "space"} for name in "zyx"]
SCALES = [
    {
        "path": path,
        "coordinateTransformations": [{"type": "scale", "scale": [1.0, step, step]}],
    }
    for path, step in (("0", 1.0), ("1", 2.0))
]


@pytest.mark.parametrize("version", FORMATS)
def test_what_is_written_is_read(version: str) -> None:
    multiscale = Multiscale(
        paths=("0", "1"),
        axes="tcyx",
        transforms=(
            CoordinateTransform((2.0, 1.0, 0.5, 0.25), (0.0, 0.0, 0.0, 0.0)),
            CoordinateTransform((2.0, 1.0, 1.0, 0.5), (0.0, 0.0, 0.25, 0.125)),
        ),
        units=("second", None, "micrometer", "micrometer"),
        name="cells",
    )
    attributes = group_attributes(multiscale, version, {"labels": ["nuclei"]})
    assert read_multiscale(attributes, "here") == multiscale
    assert attributes.get("ome", attributes)["labels"] == ["nuclei"]


def test_both_sets_of_transformations_count_one_after_the_other() -> None:
    inner = [
        {"type": "scale", "scale": [2.0, 3.0]},
        {"type": "translation", "translation": [1.0, 1.0]},
    ]
    outer = [
        {"type": "scale", "scale": [10.0, 10.0]},
        {"type": "translation", "translation": [5.0, 0.0]},
    ]
    multiscale = {
        "axes": ["y", "x"],
        "datasets": [{"path": "0", "coordinateTransformations": inner}],
        "coordinateTransformations": outer,
    }
    found = read_multiscale({"multiscales": [multiscale]}, "here")
    assert found is not None
    assert found.transforms == (CoordinateTransform((20.0, 30.0), (15.0, 10.0)),)


def test_attributes_without_a_pyramid_are_of_no_image() -> None:
    assert read_multiscale({"ome": {"labels": ["nuclei"]}}, "here") is None


def test_spoilt_metadata_say_where_they_are() -> None:
    with pytest.raises(ImageError, match=r"metadata of slide\.zarr"):
        read_multiscale({"multiscales": ["text"]}, "slide.zarr")


@pytest.mark.parametrize(
    "changed",
    [
        {"axes": ["z", "y", "x"]},
        {"axes": [{"name": name} for name in "zyx"]},
        {"axes": None},
        {"datasets": [{"path": "0"}, {"path": "1"}]},
        {"coordinateTransformations": [{"type": "identity"}]},
    ],
)
@pytest.mark.parametrize("version", FORMATS)
def test_what_ome_zarr_models_refuses_is_opened(
    version: str, changed: dict[str, Any]
) -> None:
    """Why our own reader reads; if this fails, have another look at theirs."""
    multiscale = {"axes": SPACE, "datasets": SCALES, **changed}
    group = zarr.create_group(MemoryStore(), zarr_format=FORMATS[version])
    for path, side in (("0", 64), ("1", 32)):
        group.create_array(path, data=np.zeros((3, side, side), np.uint16))
    if version == "0.4":
        group.attrs["multiscales"] = [{**multiscale, "version": version}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [multiscale]}
    models = {"0.4": ome_zarr_models.v04, "0.5": ome_zarr_models.v05}[version]
    with pytest.raises(ValidationError):
        models.image.Image.from_zarr(group)
    image = open_image(group)
    assert (image.axes, image.stack_shape, image.shape) == ("zyx", (3,), (64, 64))
    assert image.levels[1].factors == (2, 2)
