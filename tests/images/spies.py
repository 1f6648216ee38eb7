"""Arrays that remember what was read of them, or cannot be read."""

from typing import Any

from numpy.typing import NDArray

from napari_sam.geometry import Box
from napari_sam.images import Image


class SpyArray:
    """A numpy array that remembers the size of each part that was read."""

    def __init__(self, array: NDArray[Any], chunks: tuple[int, ...] | None = None):
        self.array, self.chunks = array, chunks
        self.shape, self.dtype = array.shape, array.dtype
        self.reads: list[int] = []

    def __getitem__(self, index: Any) -> NDArray[Any]:
        part = self.array[index]
        self.reads.append(part.size)
        return part


class BrokenArray(SpyArray):
    """Cannot read the chunk that holds pixel (700, 800)."""

    def __getitem__(self, index: Any) -> NDArray[Any]:
        rows, columns = index
        h, w = self.chunks or (1, 1)
        if (
            rows.start // h <= 700 // h <= (rows.stop - 1) // h
            and columns.start // w <= 800 // w <= (columns.stop - 1) // w
        ):
            raise RuntimeError("checksum\ndoes not match")
        return super().__getitem__(index)


def whole(image: Image, level: int = 0) -> Box:
    return Box.of_shape(image.levels[level].shape)
