"""Open pictures such as PNG, JPEG and GIF, and numpy's .npy files.

The size and type of a picture are in its header; its pixels are decoded frame by frame
when a window of it is read, since such formats know no tiles, and the last frame is
kept. Pillow reads headers and most pixels; where it would cut 16 bits down to 8,
imagecodecs decodes instead.

A picture with a palette holds numbers that stand for colours. To look at, it has its
colours; for label images, whose numbers are the ids, `StoredImage.indices` has them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from napari_sam.errors import ForeignErrors, ImageError, ImageReadError
from napari_sam.images.stored import StoredImage

DTYPES = {"1": "bool", "L": "uint8", "I": "int32", "F": "float32", "I;16": "uint16"}
"""Pillow's modes of one grey channel, and their pixel types."""

SAME_AS = {"I;16B": "I;16", "I;16L": "I;16", "I;16N": "I;16", "LA": "L", "La": "L"}
"""Modes that differ in byte order, or by an alpha channel, which is dropped."""

PALETTES = ("P", "PA")
ANIMATED = ("GIF", "PNG", "WEBP")
"""Formats whose frames are time points; in others they are previews and sizes."""

JPEG2000_SIZE = b"\xff\x4f\xff\x51"
"""Begins the segment of a JPEG 2000 file that says how many bits a sample has."""


def _ppm_decode(content: bytes) -> NDArray[np.uint16]:
    """The samples of a binary PPM file of 16 bits, as they are."""
    with Pillow.open(BytesIO(content)) as picture:
        (width, height), tile = picture.size, _tiles(picture)[0]
    if tile[0] != "ppm":
        raise ImageReadError(
            "A PPM picture of more than 8 bits needs to be a binary one (P6), got "
            "plain text (P3). Save it as TIFF or PNG."
        )
    samples = np.frombuffer(content, ">u2", 3 * height * width, tile[2])
    return samples.reshape(height, width, 3).astype(np.uint16)


DECODERS: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "PNG": imagecodecs.png_decode,
    "JPEG2000": imagecodecs.jpeg2k_decode,
    "PPM": _ppm_decode,
}
"""What decodes more than eight bits a sample, by Pillow's names of formats."""

MEMORY_SHARE = 0.5
"""Of this computer's memory, what the pixels of one frame may take."""

USUAL_MEMORY = 2**33
"""Where a computer does not say how much it has, in bytes."""

OpenFile = Callable[[], Path | BinaryIO]

_limit_lock = Lock()


class Picture:
    """A picture file as a lazy array: (frames,) height, width (, 3).

    Parameters
    ----------
    opened
        Gives Pillow's picture, for as long as a `with` lasts.
    content
        Gives the bytes of the file.
    as_indices
        Read a palette's numbers instead of its colours.

    Attributes
    ----------
    axes
        Letters of `axes`.
    has_palette
        Whether the pixels are numbers of colours in a table.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[Pillow.Image]],
        content: Callable[[], bytes] = bytes,
        *,
        as_indices: bool = False,
    ) -> None:
        self._opened, self._content = opened, content
        self._lock = Lock()
        self._kept: tuple[int, NDArray[Any]] | None = None  # a frame and its number
        with opened() as picture:
            self.has_palette = picture.mode in PALETTES
            self._mode = "P" if as_indices else _mode_of(picture)
            self._format = picture.format or ""
            self._bits = _bits_of(picture, content)
            count = getattr(picture, "n_frames", 1)
            self._frames = count if self._format in ANIMATED else 1
            width, height = picture.size
        is_rgb = self._mode == "RGB"
        is_deep = is_rgb and self._bits > 8
        self.dtype = np.dtype("uint16" if is_deep else DTYPES.get(self._mode, "uint8"))
        if self._is_deep_grey:
            self.dtype = np.dtype("uint16")
        self.axes = "t" * (self._frames > 1) + "yx" + "s" * is_rgb
        frames = (self._frames,) if self._frames > 1 else ()
        self.shape = (*frames, height, width, *((3,) if is_rgb else ()))
        _check_memory(height * width * (3 if is_rgb else 1) * self.dtype.itemsize)

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        if self._frames == 1:
            part: NDArray[Any] = self._frame(0)[index]
            return part
        first, *rest = index
        if isinstance(first, slice):
            numbers = range(*first.indices(self._frames))
            return np.stack([self._frame(n)[tuple(rest)] for n in numbers])
        chosen: NDArray[Any] = self._frame(range(self._frames)[first])[tuple(rest)]
        return chosen

    @property
    def _is_deep_grey(self) -> bool:
        """Whether Pillow would give eight bits of a grey picture that has sixteen."""
        return self._mode == "L" and self._bits > 8

    def _frame(self, number: int) -> NDArray[Any]:
        with self._lock:
            if self._kept is None or self._kept[0] != number:
                self._kept = None  # one at a time
                self._kept = number, self._decoded(number)
            return self._kept[1]

    def _decoded(self, number: int) -> NDArray[Any]:
        if (self._mode == "RGB" and self._bits > 8) or self._is_deep_grey:
            pixels = _deep_pixels(self._content(), self._format)
            pixels = pixels if pixels.ndim == 3 else pixels[..., None]
            return pixels[..., :3] if self._mode == "RGB" else pixels[..., 0]
        with self._opened() as picture:
            if number:
                picture.seek(number)
            if self._mode == "I;16":  # numpy turns the bytes around
                return np.asarray(picture).astype(self.dtype, copy=False)
            if self._mode == "P":
                return np.asarray(_without_alpha(picture)).astype(self.dtype)
            if self._mode == "L" and picture.mode not in ("L", "LA", "La"):
                return _grey(np.asarray(picture.convert("RGB")), number)
            return np.asarray(picture.convert(self._mode)).astype(
                self.dtype, copy=False
            )


def open_picture(
    open_file: OpenFile, name: str, source: str, state: str
) -> StoredImage:
    """Open a picture; the frames of an animation are its time points.

    Parameters
    ----------
    open_file
        Returns what Pillow can open: a path or a file.
    name, source, state
        As in `StoredImage`.
    """
    needed = f"{source} needs to be zarr, TIFF or a picture such as PNG or JPEG"
    remedy = "The file may be damaged, or of a format that is not read here."
    with ForeignErrors(ImageError, needed, remedy):
        stored = _stored(partial(_opened, open_file), partial(_content, open_file))
    return replace(stored, name=name, source=source, state=state)


def open_pillow(picture: Pillow.Image) -> StoredImage:
    """Take a picture of Pillow's in memory, as it would be read from a file."""
    return _stored(lambda: nullcontext(picture))


def _stored(
    opened: Callable[[], AbstractContextManager[Pillow.Image]],
    content: Callable[[], bytes] = bytes,
) -> StoredImage:
    picture = Picture(opened, content)
    indices = None
    if picture.has_palette:
        indices = Picture(opened, content, as_indices=True)
    return StoredImage(
        arrays=(picture,),
        axes=picture.axes,
        is_rgb=picture.axes.endswith("s"),
        indices=indices,
    )


def open_npy(file: Path | BinaryIO, name: str, source: str, state: str) -> StoredImage:
    """Open the array of a .npy file; one on this computer is mapped into memory."""
    remedy = "The file may be damaged, or hold objects instead of numbers."
    with ForeignErrors(
        ImageError, f"{source} needs to be an array file of numpy", remedy
    ):
        is_local = isinstance(file, Path)
        array = np.load(file, mmap_mode="r" if is_local else None, allow_pickle=False)
    return StoredImage(arrays=(array,), name=name, source=source, state=state)


def open_npz(
    path: Path, name: str, state: str, part: int | str | None = None
) -> StoredImage:
    """Open an array of a .npz file, by name where there are several."""
    needed = f"{path} needs to be an array file of numpy"
    with ForeignErrors(ImageError, needed), np.load(path, allow_pickle=False) as arrays:
        names = sorted(arrays.files)
        chosen = names[0] if part is None and len(names) == 1 else str(part)
        if chosen not in names:
            raise ImageError(
                f"{path} holds {len(names)} arrays, {', '.join(names[:8])}. Choose "
                f"one: {path.name}::{names[0]}."
            )
        array = arrays[chosen]
    return StoredImage(
        arrays=(array,), name=name, source=str(path), state=f"{state}-{chosen}"
    )


@contextmanager
def _opened(open_file: OpenFile) -> Iterator[Pillow.Image]:
    """The picture, without Pillow's limit on its size: `_check_memory` has another.

    The user has named the file, so it is no attack; the limit is Pillow's own for all
    of a process, hence the lock.
    """
    with _limit_lock:
        limit, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
        try:
            picture = Pillow.open(open_file())
        finally:
            Pillow.MAX_IMAGE_PIXELS = limit
    with picture:
        yield picture


def _mode_of(picture: Pillow.Image) -> str:
    """Pillow's mode in which a picture is read: grey as grey, else RGB."""
    mode = SAME_AS.get(picture.mode, picture.mode)
    if mode in DTYPES:
        return mode
    if any(raw.startswith("LA") for raw in _raw_modes(picture)):
        return "L"  # Pillow makes colours of grey with alpha where it has 16 bits
    return "L" if mode in PALETTES and _is_grey_palette(picture) else "RGB"


def _is_grey_palette(picture: Pillow.Image) -> bool:
    table = picture.getpalette("RGB")
    if not table:
        return False
    colours = np.asarray(table, dtype=np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _bits_of(picture: Pillow.Image, content: Callable[[], bytes]) -> int:
    """Bits of a sample, as far as Pillow reads fewer than there are."""
    if picture.format == "JPEG2000":
        header = content()
        at = header.find(JPEG2000_SIZE)
        return (header[at + 42] & 0x7F) + 1 if at >= 0 else 8
    if picture.format == "PPM":
        args = _tiles(picture)[0][3]
        most = args[1] if isinstance(args, tuple) and len(args) > 1 else 255
        return 16 if isinstance(most, int) and most > 255 else 8
    return 16 if any("16" in mode for mode in _raw_modes(picture)) else 8


def _raw_modes(picture: Pillow.Image) -> list[str]:
    """What Pillow calls the samples as they are in the file."""
    found = [tile[3] for tile in _tiles(picture)]
    return [str(args[0] if isinstance(args, tuple) else args) for args in found]


def _tiles(picture: Pillow.Image) -> list[Any]:
    """How Pillow would decode a file; nothing for pictures that come from none."""
    return getattr(picture, "tile", None) or []


def _deep_pixels(content: bytes, kind: str) -> NDArray[Any]:
    """(height, width) or (height, width, samples), uint16."""
    decode = DECODERS.get(kind)
    if decode is None:
        raise ImageReadError(
            f"A {kind} picture of more than 8 bits a colour is not read here. Save it "
            "as TIFF or PNG."
        )
    return decode(content).astype(np.uint16, copy=False)


def _content(open_file: OpenFile) -> bytes:
    file = open_file()
    if isinstance(file, str | os.PathLike):
        return Path(file).read_bytes()
    file.seek(0)
    content: bytes = file.read()
    file.seek(0)
    return content


def _without_alpha(picture: Pillow.Image) -> Pillow.Image:
    """The numbers of a palette's colours."""
    return picture.getchannel(0) if picture.mode == "PA" else picture


def _grey(pixels_hwc: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    grey_hw = pixels_hwc[..., 0]
    if (pixels_hwc != grey_hw[..., None]).any():
        raise ImageReadError(
            f"Frame {number} has colours, and the first frame has none. Save the "
            "frames as a TIFF stack of one kind."
        )
    return grey_hw


def _check_memory(needed: int) -> None:
    limit = int(MEMORY_SHARE * _memory())
    if needed > limit:
        raise ImageError(
            f"A picture is decoded as a whole: it needs {needed / 2**30:.1f} GB, and "
            f"may take {limit / 2**30:.1f} GB here. Convert it to OME-Zarr or tiled "
            "TIFF, which are read part by part"
        )


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return USUAL_MEMORY
