"""Open pictures that Pillow knows, such as PNG and JPEG, and numpy's .npy files.

The size and type of a picture are in its header; its pixels are decoded as a whole
when the first window is read, since such formats know no tiles, and then kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from napari_sam.errors import ImageError
from napari_sam.images.stored import ForeignErrors, StoredImage

DTYPES = {"1": "bool", "L": "uint8", "I": "int32", "F": "float32", "I;16": "uint16"}
"""Pillow's modes of one grey channel, and their pixel types."""

SAME_AS = {"I;16B": "I;16", "I;16L": "I;16", "I;16N": "I;16", "LA": "L", "La": "L"}
"""Modes that differ in byte order, or by an alpha channel, which is dropped."""


class Picture:
    """A picture file as a lazy array: (height, width), or (height, width, 3)."""

    def __init__(self, open_file: Callable[[], Pillow.Image]) -> None:
        self._open_file = open_file
        self._lock = Lock()
        self._pixels: NDArray[Any] | None = None
        with self._opened() as picture:
            mode = SAME_AS.get(picture.mode, picture.mode)
            self._mode = mode if mode in DTYPES else "RGB"
            width, height = picture.size
        self.is_rgb = self._mode == "RGB"
        self.dtype = np.dtype(DTYPES.get(self._mode, "uint8"))
        self.shape = (height, width, 3) if self.is_rgb else (height, width)

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        with self._lock:
            if self._pixels is None:
                self._pixels = self._decode()
        part: NDArray[Any] = self._pixels[index]
        return part

    def _decode(self) -> NDArray[Any]:
        with self._opened() as picture:
            is_deep = picture.mode.startswith("I;16")  # numpy turns the bytes around
            wanted = picture if is_deep else picture.convert(self._mode)
            return np.asarray(wanted).astype(self.dtype, copy=False)

    def _opened(self) -> Pillow.Image:
        with warnings.catch_warnings():
            # Half of what Pillow refuses to decode; not worth a warning here.
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            return self._open_file()


def open_picture(
    open_file: Callable[[], Any], name: str, source: str, state: str
) -> StoredImage:
    """Open a picture; of an animation, the first frame.

    Parameters
    ----------
    open_file
        Returns what Pillow can open: a path or a file.
    name, source, state
        As in `StoredImage`.
    """
    needed = f"{source} needs to be zarr, TIFF or a picture such as PNG or JPEG"
    remedy = "The file may be damaged, too large for its format, or something else."
    with ForeignErrors(ImageError, needed, remedy):
        picture = Picture(lambda: Pillow.open(open_file()))
    return StoredImage(
        arrays=(picture,),
        axes="yxs" if picture.is_rgb else "yx",
        is_rgb=picture.is_rgb,
        name=name,
        source=source,
        state=state,
    )


def open_npy(path: Path, name: str, state: str) -> StoredImage:
    """Map the array of a .npy file into memory."""
    remedy = "The file may be damaged, or hold objects instead of numbers."
    with ForeignErrors(
        ImageError, f"{path} needs to be an array file of numpy", remedy
    ):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    return StoredImage(arrays=(array,), name=name, source=str(path), state=state)
