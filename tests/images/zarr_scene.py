"""Zarr images as other programs write them, and a store that counts."""

from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import MemoryStore, WrapperStore

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
        layout: dict[str, Any] = {"shards": tuple(4 * 32 for _ in array.shape)}
        if is_old:
            layout = {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        chunks = tuple(32 for _ in array.shape)
        group.create_array(f"s{number}", data=array, chunks=chunks, **layout)
        steps = {"z": 2.0, "y": 0.5 * 2**number, "x": 0.5 * 2**number}
        shift = [10.0 * (n == "y") for n in axes]
        transforms = [
            {"type": "scale", "scale": [steps.get(n, 1.0) for n in axes]},
            {"type": "translation", "translation": shift},
        ]
        datasets.append({"path": f"s{number}", "coordinateTransformations": transforms})
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
