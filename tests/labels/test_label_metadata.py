"""Other tools open what we write, and we go on with what they wrote."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ome_zarr_models
import pytest
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from zarr.storage import LocalStore

from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelOptions, LabelStore

GEOMETRY = LabelGeometry(
    axes="tzyx",
    stack_shape=(2, 3),
    shape=(90, 70),
    pixel_size=(10.0, 2.0, 0.5, 0.25),
    units=("second", "micrometer", "micrometer", "micrometer"),
    translation=(0.0, 5.0, 100.0, 200.0),
)
SMALL = {"chunk_size": 16, "shard_size": 32, "coarsest_size": 40}
VERSIONS = ["0.4", "0.5"]
OBJECT = Box(30, 20, 60, 50)
PLANE = (1, 2)

pytestmark = pytest.mark.usefixtures("no_flushing")


def write_image(path: Path, version: str, levels: int = 2) -> None:
    """An OME-Zarr image with a channel axis."""
    axes = [
        {"name": "t", "type": "time"},
        {"name": "c", "type": "channel"},
        *({"name": axis, "type": "space"} for axis in "zyx"),
    ]
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [10.0, 1.0, 2.0, 0.5 * 2**level, 0.25]}
            ],
        }
        for level in range(levels)
    ]
    multiscale = {"name": "image", "axes": axes, "datasets": datasets}
    formats: dict[str, Any] = {"0.4": 2, "0.5": 3}
    group = zarr.create_group(LocalStore(path), zarr_format=formats[version])
    for level in range(levels):
        extra: dict[str, Any] = {"dimension_names": tuple("tczyx")}
        if version == "0.4":
            extra = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        shape = (2, 1, 3, -(-90 // 2**level), 70)
        group.create_array(
            str(level), shape=shape, chunks=(1, 1, 1, 32, 32), dtype="u1", **extra
        )
    if version == "0.4":
        group.attrs["multiscales"] = [{**multiscale, "version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


def write_object(path: Path, options: LabelOptions) -> None:
    with LabelStore.open(path, GEOMETRY, options=options) as store:
        store.add(np.ones(OBJECT.shape, dtype=bool), OBJECT, PLANE)


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def alone(tmp_path: Path, version: str) -> Path:
    """Labels in a store of their own."""
    path = tmp_path / "labels.ome.zarr"
    write_object(path, LabelOptions(version, **SMALL))
    return path


@pytest.fixture
def inside(tmp_path: Path, version: str) -> Path:
    """Labels inside of their image."""
    write_image(tmp_path / "image.ome.zarr", version)
    path = tmp_path / "image.ome.zarr" / "labels" / "nuclei"
    write_object(path, LabelOptions(**SMALL))
    return path


def ome(path: Path) -> Any:
    attributes = zarr.open_group(path, mode="r").attrs.asdict()
    return attributes.get("ome", attributes)


def read_labels(path: Path) -> list[Any]:
    """The levels, as ome-zarr reads the first node with labels."""
    location = parse_url(path)
    assert location is not None
    (node, *_) = [n for n in Reader(location)() if n.zarr.basename() == path.name]
    assert {type(spec).__name__ for spec in node.specs} >= {"Label", "Multiscales"}
    return [np.asarray(level) for level in node.data]


@pytest.mark.parametrize("place", ["alone", "inside"])
@pytest.mark.usefixtures("version")
def test_ome_zarr_reads_every_level(place: str, request: pytest.FixtureRequest) -> None:
    levels = read_labels(request.getfixturevalue(place))
    expected = np.zeros(GEOMETRY.volume_shape, dtype=np.uint32)
    expected[PLANE][OBJECT.slices] = 1
    for number, level in enumerate(levels):
        step = 2**number
        np.testing.assert_array_equal(level, expected[..., ::step, ::step])


def test_ome_zarr_finds_the_labels_from_their_image(inside: Path) -> None:
    location = parse_url(inside.parent.parent)
    assert location is not None
    names = [node.zarr.basename() for node in Reader(location)()]
    assert "nuclei" in names


@pytest.mark.parametrize("place", ["alone", "inside"])
def test_ome_zarr_models_finds_nothing_wrong(
    place: str, request: pytest.FixtureRequest, version: str
) -> None:
    path = request.getfixturevalue(place)
    group = zarr.open_group(path, mode="r")
    models = ome_zarr_models.v04 if version == "0.4" else ome_zarr_models.v05
    models.image_label.ImageLabel.from_zarr(group)
    found = ome_zarr_models.open_ome_zarr(group, version=version)
    assert type(found).__name__ == "ImageLabel"
    if place == "inside":
        labels = zarr.open_group(path.parent, mode="r")
        assert type(ome_zarr_models.open_ome_zarr(labels)).__name__ == "Labels"
        image = zarr.open_group(path.parent.parent, mode="r")
        assert type(ome_zarr_models.open_ome_zarr(image)).__name__ == "Image"


def test_metadata_carry_axes_scale_and_position_but_no_colours(alone: Path) -> None:
    (multiscale,) = ome(alone)["multiscales"]
    micrometer = {"type": "space", "unit": "micrometer"}
    assert multiscale["axes"] == [
        {"name": "t", "type": "time", "unit": "second"},
        *({"name": axis, **micrometer} for axis in "zyx"),
    ]
    steps = [level["coordinateTransformations"] for level in multiscale["datasets"]]
    shift = {"type": "translation", "translation": [0.0, 5.0, 100.0, 200.0]}
    for number, scale in enumerate(
        ([10, 2, 0.5, 0.25], [10, 2, 1, 0.5], [10, 2, 2, 1])
    ):
        assert steps[number] == [{"type": "scale", "scale": scale}, shift]
    assert "colors" not in ome(alone)["image-label"]
    assert "source" not in ome(alone)["image-label"]


def test_the_geometry_comes_back(alone: Path) -> None:
    with LabelStore.open(alone, mode="r") as store:
        assert store.geometry == GEOMETRY


def test_labels_inside_point_at_their_image_and_match_its_levels(inside: Path) -> None:
    assert ome(inside)["image-label"]["source"] == {"image": "../../"}
    assert len(ome(inside)["multiscales"][0]["datasets"]) == 2


def test_labels_beside_others_leave_them_on_the_list(inside: Path) -> None:
    write_object(inside.with_name("cells"), LabelOptions(**SMALL))
    assert ome(inside.parent)["labels"] == ["nuclei", "cells"]
    write_object(inside.with_name("cells"), LabelOptions(overwrite=True, **SMALL))
    assert ome(inside.parent)["labels"] == ["nuclei", "cells"]


def test_labels_inside_follow_the_version_of_their_image(
    inside: Path, version: str
) -> None:
    other = VERSIONS[1 - VERSIONS.index(version)]
    with pytest.raises(LabelError, match=f"need its OME-Zarr version {version}"):
        LabelStore.open(
            inside.with_name("cells"), GEOMETRY, options=LabelOptions(other)
        )
    assert not inside.with_name("cells").exists()


def test_labels_appear_in_a_store_with_consolidated_metadata(
    tmp_path: Path, version: str
) -> None:
    path = tmp_path / "image.ome.zarr"
    write_image(path, version)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(LocalStore(path))
    write_object(path / "labels" / "nuclei", LabelOptions(**SMALL))
    image = zarr.open_group(path, mode="r", use_consolidated=True)
    assert image["labels/nuclei/0"].shape == GEOMETRY.volume_shape


def test_an_existing_volume_keeps_its_version(alone: Path, version: str) -> None:
    other = VERSIONS[1 - VERSIONS.index(version)]
    with pytest.raises(LabelError, match=f"have OME-Zarr version {version}"):
        LabelStore.open(alone, options=LabelOptions(other))
    LabelStore.open(alone, options=LabelOptions(version)).close()


# Volumes from elsewhere

Change = Callable[[zarr.Group], None]


def write_foreign(path: Path, dtype: str = "u2", floor: bool = False) -> None:
    """Labels as another tool writes them, ids up to 41, two levels."""
    write_image(path, "0.5")
    group = zarr.open_group(path, mode="r+")
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    steps = [
        [{"type": "scale", "scale": [0.3 * step, 0.3 * step]}] for step in (1.0, 2.0)
    ]
    datasets = [
        {"path": f"s{i}", "coordinateTransformations": step}
        for i, step in enumerate(steps)
    ]
    labels = group.create_group("labels/theirs")
    pixels = np.zeros((61, 45), dtype=dtype)
    pixels[5:10, 5:10], pixels[50:, 40:] = 7, 41
    stop = 30 if floor else 31
    for level, data in enumerate((pixels, pixels[::2, ::2][:stop])):
        labels.create_array(f"s{level}", data=data, chunks=(16, 16))
    multiscale = {"axes": axes, "datasets": datasets}
    labels.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    write_foreign(tmp_path / "image.ome.zarr")
    return tmp_path / "image.ome.zarr" / "labels" / "theirs"


def test_labels_from_elsewhere_are_continued_above_their_ids(foreign: Path) -> None:
    box = Box(20, 20, 30, 30)
    with LabelStore.open(foreign) as store:
        assert store.add(np.ones(box.shape, dtype=bool), box).label_id == 42
        assert store.label_at((), 7, 7) == 7
        coarse = store.levels[1][:]
    assert coarse[12, 12] == 42
    assert coarse[3, 3] == 7


def test_their_ids_are_looked_up_once(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LabelStore.open(foreign).close()
    monkeypatch.setattr(
        "napari_sam.labels.pyramid.LabelPyramid.highest_id", pytest.fail
    )
    with LabelStore.open(foreign) as store:
        assert store.next_id == 42


def test_their_objects_can_be_erased_and_brought_back(foreign: Path) -> None:
    with LabelStore.open(foreign) as store:
        with pytest.raises(LabelError, match="plane and box need to be given"):
            store.erase(7)
        edit = store.erase(7, (), Box(0, 0, 20, 20))
        assert edit.pixels == 25
        assert store.label_at((), 7, 7) == 0
        store.undo(edit)
        assert store.label_at((), 7, 7) == 7


def test_a_level_that_was_rounded_down_is_kept_up_too(tmp_path: Path) -> None:
    write_foreign(tmp_path / "image.ome.zarr", floor=True)
    box = Box(40, 0, 61, 10)
    path = tmp_path / "image.ome.zarr" / "labels" / "theirs"
    with LabelStore.open(path) as store:
        store.add(np.ones(box.shape, dtype=bool), box)
        assert store.levels[1].shape == (30, 23)
        assert (store.levels[1][20:, :5] == 42).all()


def test_ids_that_their_pixels_cannot_carry_are_refused(tmp_path: Path) -> None:
    write_foreign(tmp_path / "image.ome.zarr", dtype="u1")
    box = Box(20, 20, 30, 30)
    path = tmp_path / "image.ome.zarr" / "labels" / "theirs"
    with LabelStore.open(path) as store:
        with pytest.raises(LabelError, match="1 to 255, got 256"):
            store.add(np.ones(box.shape, dtype=bool), box, label_id=256)
        assert store.add(np.ones(box.shape, dtype=bool), box).label_id == 42


def test_negative_ids_are_refused_and_leave_no_journal(tmp_path: Path) -> None:
    write_foreign(tmp_path / "image.ome.zarr", dtype="i4")
    path = tmp_path / "image.ome.zarr" / "labels" / "theirs"
    zarr.open_array(path / "s0", mode="r+")[0, 0] = -1
    with pytest.raises(LabelError, match="has -1 to 7"):
        LabelStore.open(path)
    assert [p.name for p in tmp_path.iterdir()] == ["image.ome.zarr"]


def drop_axes(group: zarr.Group) -> None:
    ome = group.attrs.asdict()["ome"]
    del ome["multiscales"][0]["axes"]
    group.attrs["ome"] = ome


def shrink_level(group: zarr.Group) -> None:
    group.create_array("s1", shape=(20, 20), dtype="u2", chunks=(8, 8), overwrite=True)


def float_level(group: zarr.Group) -> None:
    group.create_array("s1", shape=(31, 23), dtype="f4", chunks=(8, 8), overwrite=True)


def drop_level(group: zarr.Group) -> None:
    del group["s1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_axes, "lack 'axes'"),
        (shrink_level, "smaller by a whole step"),
        (float_level, "need whole numbers"),
        (drop_level, "lack a level"),
    ],
)
def test_labels_that_cannot_be_kept_up_are_refused_untouched(
    foreign: Path, change: Change, message: str
) -> None:
    change(zarr.open_group(foreign, mode="r+"))
    with pytest.raises(LabelError, match=message):
        LabelStore.open(foreign)


def test_unreadable_metadata_say_where(foreign: Path) -> None:
    (foreign / "zarr.json").write_text("{")
    with pytest.raises(LabelError, match=r"theirs cannot be read"):
        LabelStore.open(foreign)
