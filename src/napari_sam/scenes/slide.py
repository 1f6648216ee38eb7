"""A slide of any size, any window of which is drawn without the rest.

Every pixel is a function of its position and the seed, by arithmetic that rounds the
same way everywhere, so that any way of cutting the slide into blocks gives the same
bytes.
Nuclei sit on a lattice, one or none in a square, near its middle:

        +-------+-------+-------+
        |  ( )  | ( )   |       |    A nucleus reaches less than one square beyond
        +-------+-------+-------+    its own, so a pixel follows from its own and the
        |    ( )|[p]    |  ( )  |    eight around it, and no others. Of two nuclei
        +-------+-------+-------+    that overlap, each keeps the pixels that are
        |       |   ( ) | ( )   |    nearer to its own centre: what is left of both
        +-------+-------+-------+    is connected.

Random numbers are hashes of the position, not a generator's next ones; angles are
directions (two numbers with squares that add to 1), which needs no sine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import SceneError
from napari_sam.geometry import Box
from napari_sam.scenes.options import Scene

if TYPE_CHECKING:
    import dask.array as da

MARGIN = 0.06  # of a square: no centre is nearer to the square's border
PITCH = 1.15  # side of a square, in object sizes
EDGE = 0.8  # pixels over which a nucleus fades out, on either side of its outline
Coordinates = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SlideOptions:
    """A large slide of fluorescent nuclei in tissue of uneven density.

    Parameters
    ----------
    shape_hw
        (height, width), in pixels.
    object_size
        Diameter of a nucleus, in pixels, 8 to 300.
    noise
        Of the camera, 0 to 1.
    seed
        0 or more.
    """

    shape_hw: tuple[int, int]
    object_size: float = 24.0
    noise: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.shape_hw) < 1 or not 8 <= self.object_size <= 300:
            raise SceneError(
                "A slide needs sides of 1 pixel or more and an object_size of 8 to 300 "
                f"pixels, got {self.shape_hw} and {self.object_size}."
            )
        if not 0 <= self.noise <= 1 or not 0 <= self.seed < 2**62:
            raise SceneError(
                "A slide needs a noise of 0 to 1 and a seed of 0 to 2**62, got "
                f"{self.noise} and {self.seed}."
            )
        rows, columns = self.lattice_shape
        if rows * columns >= 2**32:
            raise SceneError(
                f"A slide has room for 2**32 label ids, and {self.shape_hw} pixels of "
                f"object_size {self.object_size} need {rows * columns}. Choose larger "
                "objects or a smaller slide."
            )

    @property
    def pitch(self) -> float:
        """Side of a lattice square, in pixels."""
        return PITCH * self.object_size

    @property
    def lattice_shape(self) -> tuple[int, int]:
        """Squares (rows, columns) that the slide has."""
        height, width = self.shape_hw
        return int(height / self.pitch) + 1, int(width / self.pitch) + 1


def slide_block(options: SlideOptions, box: Box, step: int = 1) -> Scene:
    """Draw a window of the slide.

    Label ids are the same in every window, unique in the slide, and not compact: 1 +
    row * columns + column of the nucleus' lattice square, uint32. An object's pixels
    hang together by sides or corners.

    Parameters
    ----------
    options
        The slide.
    box
        The window, in pixels of the slide.
    step
        Only every `step`-th row and column, from the box's corner on, at the cost of
        the pixels that are left: the coarse levels of a pyramid.

    Raises
    ------
    SceneError
        The window is not inside the slide, or `step` is not positive.
    """
    if not Box.of_shape(options.shape_hw).contains(box) or step < 1:
        raise SceneError(
            f"A window needs to lie inside the slide of {options.shape_hw} pixels, and "
            f"step to be 1 or more; got {box} and step {step}."
        )
    y = np.arange(box.y0, box.y1, step, dtype=np.int64)[:, None]
    x = np.arange(box.x0, box.x1, step, dtype=np.int64)[None, :]
    labels, glow = _nuclei(options, y, x)
    seed = options.seed
    tissue = _value_noise(seed, 21, y, x, 9.0 * options.object_size)
    texture = _value_noise(seed, 22, y, x, max(1.7, options.object_size / 9))
    texture += 0.6 * _value_noise(seed, 23, y, x, max(2.5, options.object_size / 3.5))
    light = glow * (0.8 + 0.45 * (texture - 0.8)) + 0.03 + 0.07 * tissue
    lamp = 0.8 + 0.4 * _value_noise(seed, 24, y, x, 1500.0)
    grain = _grain(seed, y, x)
    counts = 4000.0 * light * lamp
    # Shot noise deviates by the root of the light, read noise by a constant.
    spread = np.sqrt(counts) * (0.5 + 9.0 * options.noise) + 4.0 + 30.0 * options.noise
    pixels = np.clip(np.rint(100.0 + counts + grain * spread), 0, 2**16 - 1)
    return Scene(pixels.astype(np.uint16), labels)


def lazy_slide(
    options: SlideOptions, chunk: int = 1024, step: int = 1
) -> tuple[da.Array, da.Array]:
    """Pixels and labels of the whole slide as dask arrays, drawn chunk by chunk.

    With `step` 2, 4, 8 ... the levels of a pyramid, each without reading a finer one.
    A task a chunk is listed at once: give a slide of 100,000 pixels chunks of 2048.
    """
    # Only whoever wants a whole slide pays for loading dask.
    import dask.array as da  # noqa: PLC0415

    if chunk < 1 or step < 1:
        raise SceneError(
            f"A slide's chunk and step are 1 or more, got chunk {chunk}, step {step}."
        )
    height, width = (-(-side // step) for side in options.shape_hw)
    chunks = da.core.normalize_chunks(chunk, (height, width))  # type: ignore[no-untyped-call]

    def draw(
        what: str, block_info: dict[None, dict[str, list[tuple[int, int]]]]
    ) -> NDArray[np.unsignedinteger]:
        (y0, y1), (x0, x1) = block_info[None]["array-location"]
        wanted = Box(y0 * step, x0 * step, y1 * step, x1 * step)
        box = wanted.clip(Box.of_shape(options.shape_hw))
        scene = slide_block(options, box, step)
        return scene.pixels if what == "pixels" else scene.labels_hw

    def lazy(what: str, dtype: type[np.unsignedinteger]) -> da.Array:
        array: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
            draw, what, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype)
        )
        return array

    return lazy("pixels", np.uint16), lazy("labels", np.uint32)


def _nuclei(
    options: SlideOptions, y: Coordinates, x: Coordinates
) -> tuple[NDArray[np.uint32], FloatArray]:
    """Labels and light of pixels given as a column `y` and a row `x`."""
    shape = y.size, x.size
    labels = np.zeros(shape, np.uint32)
    glow = np.zeros(shape)
    nearest = np.full(shape, np.inf)
    rows = np.floor((y + 0.5) / options.pitch).astype(np.int64)
    columns = np.floor((x + 0.5) / options.pitch).astype(np.int64)
    for row_step in (-1, 0, 1):
        for column_step in (-1, 0, 1):
            row, column = rows + row_step, columns + column_step
            traits = _Traits.at(options, row, column)
            squares, margin = traits.outline(options, y, x)
            # Ties go to the first square in reading order, in every window.
            is_nearer = squares < nearest
            nearest = np.where(is_nearer, squares, nearest)
            label = (row * options.lattice_shape[1] + column + 1).astype(np.uint32)
            owned = np.where(margin > 0, label, np.uint32(0))
            labels = np.where(is_nearer, owned, labels)
            fade = np.clip(0.5 + 0.5 * margin / EDGE, 0.0, 1.0)
            dome = 0.6 + 0.4 * np.clip(margin / (0.35 * options.object_size), 0, 1)
            glow = np.maximum(glow, traits.gain * fade * dome)
    return labels, glow


@dataclass(frozen=True, slots=True)
class _Traits:
    """The nuclei of lattice squares, an array each; `gain` is 0 where there is none."""

    y: FloatArray
    x: FloatArray
    radius: FloatArray
    stretch: FloatArray
    along_y: FloatArray
    along_x: FloatArray
    bumps: FloatArray  # (4, ...): cosine and sine parts of 3 and 4 waves
    gain: FloatArray

    @classmethod
    def at(
        cls, options: SlideOptions, rows: Coordinates, columns: Coordinates
    ) -> _Traits:
        """Those of squares given as a column and a row; one each pair of the two."""
        row, row_at = np.unique(rows, return_inverse=True)
        column, column_at = np.unique(columns, return_inverse=True)
        # Hash each square once, then hand its numbers to all its pixels.
        drawn = cls._draw(options, row[:, None], column[None, :])
        drawn = drawn[:, row_at.ravel()[:, None], column_at.ravel()[None, :]]
        y, x, radius, stretch, along_y, along_x, gain = drawn[:7]
        return cls(y, x, radius, stretch, along_y, along_x, drawn[7:], gain)

    @staticmethod
    def _draw(
        options: SlideOptions, row: Coordinates, column: Coordinates
    ) -> FloatArray:
        """All numbers of each square, (11, rows, columns)."""
        a, b, c, d = _quarters(_hash(options.seed, 1, row, column))
        e, f, g, h = _quarters(_hash(options.seed, 2, row, column))
        bumps = _quarters(_hash(options.seed, 3, row, column))
        low, room = MARGIN * options.pitch, (1 - 2 * MARGIN) * options.pitch
        # A direction: a point of the square around 0, put on the circle.
        along_y, along_x = e - 0.5, f - 0.5 + 1e-5
        length = np.sqrt(along_y * along_y + along_x * along_x)
        density = _value_noise(options.seed, 4, row, column, 7.0)
        density = 1.6 * (density - 0.5) + 0.55
        rows, columns = options.lattice_shape
        is_inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        exists = (g < density) & is_inside
        drawn: FloatArray = np.stack(
            (
                row * options.pitch + low + room * a,
                column * options.pitch + low + room * b,
                options.object_size * (0.4 + 0.17 * c),
                1.0 + 0.28 * d * d,
                along_y / length,
                along_x / length,
                np.where(exists, 0.25 + 0.75 * h * h, 0.0),
                *(0.1 * (bump - 0.5) for bump in bumps[:2]),
                *(0.06 * (bump - 0.5) for bump in bumps[2:]),
            )
        )
        return drawn

    def outline(
        self, options: SlideOptions, y: Coordinates, x: Coordinates
    ) -> tuple[FloatArray, FloatArray]:
        """Squared distance to the centre, and how far inside the outline, in pixels.

        Both are "nowhere near" for a square without a nucleus.
        """
        dy, dx = (y + 0.5) - self.y, (x + 0.5) - self.x
        squares = dy * dy + dx * dx
        along = (dx * self.along_x + dy * self.along_y) / self.stretch
        across = (dy * self.along_x - dx * self.along_y) * self.stretch
        rho = np.sqrt(along * along + across * across) + 1e-9
        c, s = along / rho, across / rho
        # Cosines and sines of 2, 3 and 4 times the angle, by addition theorems.
        c2, s2 = c * c - s * s, 2 * c * s
        c3, s3 = c2 * c - s2 * s, s2 * c + c2 * s
        c4, s4 = c2 * c2 - s2 * s2, 2 * c2 * s2
        a, b, d, e = self.bumps
        waves = 1.0 + a * c3 + b * s3 + d * c4 + e * s4
        margin = self.radius * waves - rho
        is_there = self.gain > 0
        far = -4.0 * options.pitch
        return np.where(is_there, squares, np.inf), np.where(is_there, margin, far)


def _hash(
    seed: int, purpose: int, y: NDArray[np.integer], x: NDArray[np.integer]
) -> NDArray[np.uint64]:
    """64 well-mixed bits for each pixel; wraps around on purpose."""
    start = np.uint64(
        (seed * 0x9E3779B97F4A7C15 + purpose * 0xD1B54A32D192ED03) % 2**64
    )
    bits = _mixed(y.astype(np.uint64) + start)
    return _mixed(bits ^ _mixed(x.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)))


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed


def _quarters(bits: NDArray[np.uint64]) -> list[FloatArray]:
    """Four numbers of 0 to 1 out of 64 bits."""
    mask = np.uint64(0xFFFF)
    return [
        ((bits >> np.uint64(shift)) & mask).astype(np.float64) / 65536.0
        for shift in (0, 16, 32, 48)
    ]


def _grain(seed: int, y: Coordinates, x: Coordinates) -> FloatArray:
    """Noise of mean 0 and deviation 1: four uniform numbers sum to near normal."""
    total: FloatArray = np.zeros(())
    for quarter in _quarters(_hash(seed, 11, y, x)):
        total = total + quarter
    grain: FloatArray = (total - 2.0) * 3.0**0.5
    return grain


def _value_noise(
    seed: int, purpose: int, y: Coordinates, x: Coordinates, scale: float
) -> FloatArray:
    """A smooth field of 0 to 1 with features of about `scale` pixels."""
    ky, ty = _split(y.ravel(), scale)
    kx, tx = _split(x.ravel(), scale)
    knots_y, at_y = np.unique(np.concatenate([ky, ky + 1]), return_inverse=True)
    knots_x, at_x = np.unique(np.concatenate([kx, kx + 1]), return_inverse=True)
    bits = _hash(seed, purpose, knots_y[:, None], knots_x[None, :])
    values = (bits >> np.uint64(40)).astype(np.float64) / 2.0**24
    upper, lower = values[at_y[: ky.size]], values[at_y[ky.size :]]
    rows = upper + (lower - upper) * ty[:, None]
    left, right = rows[:, at_x[: kx.size]], rows[:, at_x[kx.size :]]
    smooth: FloatArray = left + (right - left) * tx[None, :]
    return smooth


def _split(pixels: Coordinates, scale: float) -> tuple[Coordinates, FloatArray]:
    """Knot before each pixel, and the eased way from it to the next, 0 to 1."""
    position = pixels / scale
    knot = np.floor(position)
    t = position - knot
    return knot.astype(np.int64), t * t * (3.0 - 2.0 * t)
