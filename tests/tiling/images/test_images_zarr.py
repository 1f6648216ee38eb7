"""OME-Zarr and bare zarr: what it says is used, and only what is shown is read."""

import gc
import json
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image as Pillow
from zarr.storage import LocalStore, MemoryStore, WrapperStore, ZipStore

from napari_sam.errors import ImageError, ImageReadError
from napari_sam.geometry import Box
from napari_sam.tiling.images import open_image
from napari_sam.tiling.images.sampling import SAMPLE_CELLS, SAMPLE_ROUNDS

METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


class CountingStore(WrapperStore[Any]):
    """Remembers the keys of chunks that were asked for."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.chunks: list[str] = []

    def _with_store(self, store: Any) -> "CountingStore":
        reopened = CountingStore(store)
        reopened.chunks = self.chunks
        return reopened

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        if not key.endswith(METADATA):
            self.chunks.append(key)
        return await self._store.get(key, prototype, byte_range)


def axis(name: str) -> dict[str, str]:
    kinds = {"t": ("time", "second"), "c": ("channel", "")}
    kind, unit = kinds.get(name, ("space", "micrometer"))
    return {"name": name, "type": kind} | ({"unit": unit} if unit else {})


def write_ome_zarr(
    store: Any,
    levels: list[NDArray[Any]],
    axes: str = "zyx",
    version: str = "0.5",
    **extra: Any,
) -> None:
    """An OME-Zarr image with pixels of 2 (z), 0.5 and 0.5 um, shifted by 10 um in y."""
    is_old = version == "0.4"
    group = zarr.open_group(store, mode="w", zarr_format=2 if is_old else 3)
    datasets = []
    for number, array in enumerate(levels):
        shards = {} if is_old else {"shards": tuple(4 * 32 for _ in array.shape)}
        kind = (
            {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if is_old else {}
        )
        chunks = tuple(32 for _ in array.shape)
        stored = group.create_array(
            f"s{number}",
            shape=array.shape,
            dtype=array.dtype,
            chunks=chunks,
            **shards,
            **kind,
        )
        stored[...] = array
        sizes = {"z": 2.0, "y": 0.5 * 2**number, "x": 0.5 * 2**number}
        datasets.append(
            {
                "path": f"s{number}",
                "coordinateTransformations": [
                    {"type": "scale", "scale": [sizes.get(n, 1.0) for n in axes]},
                    {
                        "type": "translation",
                        "translation": [10.0 * (n == "y") for n in axes],
                    },
                ],
            }
        )
    multiscale = {
        "name": "cells",
        "axes": [axis(n) for n in axes],
        "datasets": datasets,
    }
    if is_old:
        multiscale["version"] = "0.4"
        group.attrs.update({"multiscales": [multiscale], **extra})
    else:
        ome = {"version": "0.5", "multiscales": [multiscale], **extra}
        group.attrs.update({"ome": ome})


@pytest.fixture
def stack() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 999, (3, 300, 400), dtype=np.uint16)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Serves the test's folder over HTTP."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield lambda: f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_tells_axes_levels_and_scale(
    tmp_path: Path, stack: NDArray, version: str
) -> None:
    path = tmp_path / "cells.ome.zarr"
    write_ome_zarr(path, [stack, stack[:, ::2, ::2]], version=version)
    image = open_image(path)
    assert (image.name, image.source) == ("cells", str(path))
    assert (image.axes, image.stack_shape, image.shape) == ("zyx", (3,), (300, 400))
    assert [lv.stored for lv in image.levels] == [True, True]
    assert image.levels[1].factors == (2, 2)
    assert image.pixel_size == {"z": 2, "y": 0.5, "x": 0.5}
    assert image.units == dict.fromkeys("zyx", "micrometer")
    assert image.translation == {"z": 0, "y": 10, "x": 0}
    window = image.read((2,), 0, Box(10, 20, 200, 300))
    np.testing.assert_array_equal(window[0], stack[2, 10:200, 20:300])


def test_a_scale_that_contradicts_the_shapes_is_not_believed(
    tmp_path: Path, stack: NDArray
) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [stack, stack[:, ::4, ::4]])
    image = open_image(tmp_path / "a.zarr")
    assert [lv.factors for lv in image.levels if lv.stored] == [(1, 1), (4, 4)]


def test_the_users_axes_keep_the_sizes_of_axes_that_stay(
    tmp_path: Path, stack: NDArray
) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [stack])
    image = open_image(tmp_path / "a.zarr", axes="tyx")
    assert image.stack_axes == "t"
    assert image.pixel_size == {"y": 0.5, "x": 0.5}


def test_opening_reads_no_chunk_and_a_window_reads_its_own(stack: NDArray) -> None:
    store = CountingStore(MemoryStore())
    write_ome_zarr(store, [stack], version="0.4")
    store.chunks.clear()
    image = open_image(zarr.open_group(store, mode="r"))
    assert store.chunks == []
    image.read((0,), 0, Box(0, 0, 64, 64))
    assert len(store.chunks) == 4


@pytest.mark.parametrize(
    ("omero", "is_rgb"),
    [
        (None, True),
        (["FF0000", "00ff00", "0000FF"], True),
        (["00FF00", "FF0000", "0000FF"], False),
    ],
)
def test_three_uint8_channels_are_rgb_unless_their_colours_differ(
    tmp_path: Path, omero: list[str] | None, is_rgb: bool
) -> None:
    extra = {"omero": {"channels": [{"color": c} for c in omero]}} if omero else {}
    pixels = np.random.default_rng(0).integers(9, 99, (3, 64, 64), dtype=np.uint8)
    write_ome_zarr(tmp_path / "a.zarr", [pixels], axes="cyx", version="0.4", **extra)
    image = open_image(tmp_path / "a.zarr")
    assert (image.is_rgb, image.stack_axes) == (is_rgb, "")
    rgb = image.read_rgb((), 0, Box(0, 0, 64, 64))
    assert (rgb == pixels.transpose(1, 2, 0)).all() == is_rgb


def test_the_first_image_of_a_converted_file_is_found(
    tmp_path: Path, stack: NDArray
) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    write_ome_zarr(tmp_path / "a.zarr" / "0", [stack])
    assert open_image(tmp_path / "a.zarr").shape == (300, 400)


def test_a_plate_asks_for_one_of_its_fields(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w").attrs["plate"] = {"wells": []}
    with pytest.raises(ImageError, match="one field"):
        open_image(tmp_path / "a.zarr")


def test_old_axes_are_plain_letters(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=(2, 9, 8), chunks=(1, 9, 8), dtype="u1")
    group.attrs["multiscales"] = [
        {"version": "0.3", "axes": ["t", "y", "x"], "datasets": [{"path": "0"}]}
    ]
    assert open_image(tmp_path / "a.zarr").stack_axes == "t"


@pytest.mark.parametrize(
    "multiscale",
    [
        {"datasets": [{"path": "nowhere"}]},
        {"datasets": [{}]},
        {"datasets": []},
        {},
        "text",
        {"datasets": [{"path": "0"}], "axes": [{"type": "space"}]},
        {"datasets": [{"path": "0"}], "axes": ["z", "t"]},
        {
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": ["a"]}],
                }
            ]
        },
        {
            "axes": ["y", "x"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": [1, 0]}],
                }
            ],
        },
    ],
)
def test_broken_metadata_are_an_image_error(tmp_path: Path, multiscale: Any) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=(9, 8), chunks=(9, 8), dtype="u1")
    group.attrs["multiscales"] = [multiscale]
    with pytest.raises(ImageError) as caught:
        open_image(tmp_path / "a.zarr")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_bare_array_is_guessed_or_told_by_its_dimension_names(
    tmp_path: Path, zarr_format: Any
) -> None:
    names = {"dimension_names": ["time", "y", "x"]} if zarr_format == 3 else {}
    zarr.create_array(
        tmp_path / "a.zarr",
        shape=(5, 60, 70),
        chunks=(1, 60, 70),
        dtype=">u2",
        zarr_format=zarr_format,
        **names,
    )
    image = open_image(str(tmp_path / "a.zarr"))
    assert image.stack_axes == ("t" if names else "z")
    assert image.dtype == np.dtype("=u2")


def test_a_bare_group_of_levels_is_a_pyramid(tmp_path: Path, stack: NDArray) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for number in (0, 1):
        group.create_array(f"level{number}", data=stack[0, :: 2**number, :: 2**number])
    (tmp_path / "a.zarr" / "notes").mkdir()
    image = open_image(tmp_path / "a.zarr")
    assert [lv.shape for lv in image.levels] == [(300, 400), (150, 200)]


def test_a_bare_group_of_unrelated_arrays_names_them(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("cells", data=np.zeros((9, 9)))
    group.create_array("names", data=np.zeros(4))
    with pytest.raises(ImageError, match=r"cells \(9, 9\), names \(4,\)"):
        open_image(tmp_path / "a.zarr")


def test_zipped_zarr_is_read_and_closed(tmp_path: Path, stack: NDArray) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as store, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_ome_zarr(store, [stack])
    with open_image(tmp_path / "a.zip") as image:
        np.testing.assert_array_equal(
            image.read((1,), 0, Box(0, 0, 40, 40))[0], stack[1, :40, :40]
        )


def test_a_zip_without_an_image_is_closed_again(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        zarr.create_group(store)
    with pytest.raises(ImageError, match="no arrays"):
        open_image(tmp_path / "a.zip")
    gc.collect()


@pytest.mark.parametrize("what", ["missing", "empty", "text"])
def test_a_folder_without_zarr_is_an_image_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.zarr"
    if what != "missing":
        path.mkdir()
    if what == "text":
        (path / "notes.txt").write_text("hello")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ImageError, match=r"a\.zarr"):
        open_image(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_unreadable_chunk_in_the_middle_is_named(
    tmp_path: Path, stack: NDArray, version: str
) -> None:
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, [stack], version=version)
    chunk = path / ("s0/0/2/3" if version == "0.4" else "s0/c/0/0/0")
    chunk.write_bytes(bytes(chunk.stat().st_size))
    image = open_image(path)
    with pytest.raises(ImageReadError, match="Chunk z=0, y=") as caught:
        image.read((0,), 0, Box(0, 0, 300, 400))
    assert "\n" not in str(caught.value)
    assert image.read((0,), 0, Box(256, 256, 300, 400)).shape == (1, 44, 144)


def huge(dtype: str = "uint16") -> tuple[CountingStore, zarr.Array[Any]]:
    """200,000 x 200,000 pixels in chunks of 512, of which 16 are written."""
    store = CountingStore(MemoryStore())
    array = zarr.create_array(
        store, shape=(200_000, 200_000), chunks=(512, 512), dtype=dtype
    )
    disc = np.random.default_rng(0).integers(500, 900, (2048, 2048), dtype=np.uint16)
    array[99_840:101_888, 99_840:101_888] = disc
    store.chunks.clear()
    return store, zarr.open_array(store, mode="r")


def test_a_first_window_of_a_huge_image_reads_a_bounded_number_of_chunks() -> None:
    store, array = huge()
    image = open_image(array)
    assert (len(image.levels), store.chunks) == (11, [])
    tracemalloc.start()
    rgb = image.read_rgb((), 0, Box(100_000, 100_000, 100_512, 100_512))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.ptp(rgb) > 100  # the sample met fill values only: the window decides
    assert len(store.chunks) == SAMPLE_CELLS * SAMPLE_ROUNDS + 4
    assert peak < 100 * 2**20
    store.chunks.clear()
    again = image.read_rgb((), 0, Box(100_000, 100_000, 100_512, 100_512))
    np.testing.assert_array_equal(again, rgb)
    assert len(store.chunks) == 4


def test_a_sample_that_varies_takes_sixteen_chunks() -> None:
    store = CountingStore(MemoryStore())
    rng = np.random.default_rng(0)
    array = zarr.create_array(store, shape=(4096, 4096), chunks=(512, 512), dtype="u2")
    array[...] = rng.integers(0, 999, (4096, 4096), dtype=np.uint16)
    store.chunks.clear()
    low, high = open_image(zarr.open_array(store, mode="r")).contrast[0]
    assert len(store.chunks) == SAMPLE_CELLS
    assert (low, high) == pytest.approx((1, 998), abs=2)


def test_small_chunks_are_sampled_in_groups_of_at_most_sixteen() -> None:
    store = CountingStore(MemoryStore())
    zarr.create_array(store, shape=(30_000, 30_000), chunks=(16, 16), dtype="u2")
    open_image(zarr.open_array(store, mode="r")).contrast  # noqa: B018
    assert len(store.chunks) <= SAMPLE_CELLS * SAMPLE_ROUNDS * 16


def test_a_small_coarse_level_is_the_sample(stack: NDArray) -> None:
    store = CountingStore(MemoryStore())
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 999, (1, 1024, 1024), dtype=np.uint16)
    write_ome_zarr(store, [fine, fine[:, ::2, ::2]], version="0.4")
    store.chunks.clear()
    open_image(zarr.open_group(store, mode="r")).contrast  # noqa: B018
    assert {key.split("/")[0] for key in store.chunks} == {"s1"}
    assert len(store.chunks) == 256  # all of its chunks of 32 pixels


def test_every_plane_of_a_stack_counts_for_the_sample() -> None:
    stack = np.zeros((16, 256, 256), np.uint8)
    stack += np.arange(16, dtype=np.uint8)[:, None, None]
    assert open_image(zarr.array(stack)).contrast == ((0, 15),)


@pytest.mark.parametrize("is_consolidated", [False, True])
def test_ome_zarr_is_read_over_http(
    tmp_path: Path,
    serve: Callable[[], str],
    stack: NDArray,
    is_consolidated: bool,
) -> None:
    path = tmp_path / "cells.ome.zarr"
    write_ome_zarr(path, [stack], version="0.4")
    if is_consolidated:
        zarr.consolidate_metadata(str(path))
    (path / "s0/0/0/0").unlink()
    url = f"{serve()}/cells.ome.zarr"
    image = open_image(url)
    assert (image.source, image.name) == (url, "cells")
    window = image.read((1,), 0, Box(40, 40, 300, 400))[0]
    np.testing.assert_array_equal(window, stack[1, 40:, 40:])
    assert not image.read((0,), 0, Box(0, 0, 32, 32)).any()


@pytest.mark.parametrize("path", ["nothing.zarr", "nothing.tif", "nothing.png"])
def test_a_url_with_nothing_there_is_an_image_error(
    serve: Callable[[], str], path: str
) -> None:
    with pytest.raises(ImageError, match="nothing"):
        open_image(f"{serve()}/{path}")


def test_a_picture_is_read_over_http(tmp_path: Path, serve: Callable[[], str]) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Pillow.fromarray(grey).save(tmp_path / "a.png")
    image = open_image(f"{serve()}/a.png")
    np.testing.assert_array_equal(image.read((), 0, Box(0, 0, 8, 8))[0], grey)


def test_a_tiff_is_read_over_http(tmp_path: Path, serve: Callable[[], str]) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    tifffile.imwrite(tmp_path / "a.tif", grey, compression="zlib")
    with open_image(f"{serve()}/a.tif") as image:
        np.testing.assert_array_equal(image.read((), 0, Box(0, 0, 8, 8))[0], grey)


def test_a_large_tiff_needs_a_server_that_sends_parts(
    tmp_path: Path, serve: Callable[[], str]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3000, 3000), np.uint8))
    with pytest.raises(ImageError, match=r"read in parts.*Download it"):
        open_image(f"{serve()}/a.tif")


def test_a_file_url_is_a_path(tmp_path: Path, stack: NDArray) -> None:
    write_ome_zarr(tmp_path / "a b.zarr", [stack])
    image = open_image((tmp_path / "a b.zarr").as_uri())
    assert (image.source, image.name) == (str(tmp_path / "a b.zarr"), "a b")


def test_a_server_that_is_gone_is_an_image_error(serve: Callable[[], str]) -> None:
    with pytest.raises(ImageError, match="can be reached"):
        open_image("http://127.0.0.1:9/cells.zarr")


def test_arrays_on_disk_know_their_path_and_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    array = zarr.create_array(path, shape=(9, 9), chunks=(9, 9), dtype="u1")
    image = open_image(array)
    assert image.source == str(path)
    assert image.fingerprint == open_image(path).fingerprint
    assert image.fingerprint != open_image(path, axes="xy").fingerprint


def test_opening_a_store_changes_nothing_in_it(tmp_path: Path, stack: NDArray) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [stack])
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    group = zarr.open_group(LocalStore(tmp_path / "a.zarr"), mode="r")
    open_image(group).read_rgb((0,), 0, Box(0, 0, 9, 9))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    assert json.loads((tmp_path / "a.zarr/zarr.json").read_text())
