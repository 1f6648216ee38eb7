"""Maps of an instance decoder -> objects.

Our own head's maps say which way the inside of an object is, micro-sam's how far its
centre and its border are. Either way the objects of a window follow at once:

- **directions** are followed for a number of steps; where many pixels arrive is the
  middle of an object, and those that arrive there are its pixels.
- **distances** are low in the middle of an object and rise towards its border, so that
  low places are the seeds of a watershed.

        -> -> . <- <-            ->.<- | ->.<-
        one place: one object    two places: two, even where nothing is between them
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label as connected_pieces
from skimage.segmentation import watershed

from napari_sam.errors import MapError

Labels = NDArray[np.int32]
POINTS_AT_ONCE = 1 << 18


class MapKind(StrEnum):
    """What the maps after the first one, of being object, say."""

    DIRECTIONS = "directions"
    DISTANCES = "distances"


@dataclass(frozen=True, slots=True)
class InstanceMaps:
    """What an instance decoder says of every pixel of a window.

    float16, as embeddings are, so that objects do not depend on where maps were kept.

    Parameters
    ----------
    maps_3hw
        The first is how likely a pixel is object, 0..1. The others are the inward
        direction (y, x), of length 1 or less, or the distances to the object's centre
        and to its border, 0 in the middle and 1 outside. They may be smaller than the
        window.
    kind
        Which of the two.
    window_shape
        (height, width) of the window, in pixels.
    """

    maps_3hw: NDArray[np.float16]
    kind: MapKind
    window_shape: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Size in memory, in bytes."""
        return int(self.maps_3hw.nbytes)


@dataclass(frozen=True, slots=True)
class InstanceOptions:
    """How objects are taken out of maps.

    Parameters
    ----------
    foreground
        A pixel above it, 0..1, is object.
    steps, step_length
        How often and how far, in pixels of the maps, directions are followed. An
        object whose middle is farther from its end than their product is cut.
    gathering_blur, gathering
        Pixels that arrive are counted, blurred by so many pixels; where there are more
        than `gathering` to a pixel is the middle of an object.
    centre_distance, border_distance
        A place whose distances are both below them is the seed of an object.
    distance_blur
        Of the distances, in pixels of the maps, before seeds are taken.
    smallest
        Objects of fewer pixels of the maps are dropped.
    """

    foreground: float = 0.5
    steps: int = 60
    step_length: float = 0.7
    gathering_blur: float = 1.5
    gathering: float = 1.2
    centre_distance: float = 0.5
    border_distance: float = 0.5
    distance_blur: float = 1.6
    smallest: int = 12

    def __post_init__(self) -> None:
        for name in ("foreground", "centre_distance", "border_distance"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise MapError(f"{name} needs to be above 0 and below 1, got {value}.")
        for name in ("steps", "step_length", "gathering"):
            value = getattr(self, name)
            if value <= 0:
                raise MapError(f"{name} needs to be above 0, got {value}.")
        for name in ("gathering_blur", "distance_blur", "smallest"):
            value = getattr(self, name)
            if value < 0:
                raise MapError(f"{name} needs to be 0 or more, got {value}.")


DEFAULT_OPTIONS = InstanceOptions()


def find_instances(
    maps: InstanceMaps, options: InstanceOptions = DEFAULT_OPTIONS
) -> Labels:
    """The objects that maps show, as ids 1 to n over the window: (height, width).

    Every id is one piece without holes at the maps' size.
    """
    values = maps.maps_3hw.astype(np.float32)
    foreground = values[0] > options.foreground
    if maps.kind is MapKind.DIRECTIONS:
        labels = follow_directions(values[1:], foreground, options)
    else:
        labels = flood_distances(values[1:], foreground, options)
    return enlarged(tidied(labels, options.smallest), maps.window_shape)


def follow_directions(
    directions_2hw: NDArray[np.float32],
    foreground_hw: NDArray[np.bool_],
    options: InstanceOptions = DEFAULT_OPTIONS,
) -> Labels:
    """Ids of the places where the foreground's pixels arrive, at the maps' size."""
    height, width = foreground_hw.shape
    labels = np.zeros((height, width), dtype=np.int32)
    rows, columns = np.nonzero(foreground_hw)
    if not rows.size:
        return labels
    ends = _ends(directions_2hw * foreground_hw, rows, columns, options)
    arrived = np.bincount(ends, minlength=height * width).reshape(height, width)
    gathered = ndimage.gaussian_filter(
        arrived.astype(np.float32), options.gathering_blur
    )
    middles, _ = ndimage.label(gathered > options.gathering, np.ones((3, 3)))
    labels[rows, columns] = middles.ravel()[ends]
    return labels


def flood_distances(
    distances_2hw: NDArray[np.float32],
    foreground_hw: NDArray[np.bool_],
    options: InstanceOptions = DEFAULT_OPTIONS,
) -> Labels:
    """Ids of a watershed of the border's distance, from where both are low."""
    centre, border = (
        ndimage.gaussian_filter(x, options.distance_blur) for x in distances_2hw
    )
    seeds = (centre < options.centre_distance) & (border < options.border_distance)
    markers, _ = ndimage.label(seeds & foreground_hw)
    flooded = watershed(border, markers, mask=foreground_hw)  # type: ignore[no-untyped-call]
    return np.asarray(flooded, dtype=np.int32)


def tidied(labels_hw: Labels, smallest: int) -> Labels:
    """Each id's largest piece without its holes, numbered 1 to n; small ones dropped.

    Neighbours share a side, not a corner.
    """
    pieces = connected_pieces(labels_hw, background=0, connectivity=1)  # type: ignore[no-untyped-call]
    areas = np.bincount(pieces.ravel())
    owners = np.zeros(areas.size, dtype=np.int64)
    owners[pieces.ravel()] = labels_hw.ravel()
    order = np.lexsort((areas, owners))
    is_largest = np.append(np.diff(owners[order]) > 0, True)
    kept = order[is_largest & (owners[order] > 0)]
    kept = np.sort(kept[areas[kept] >= max(smallest, 1)])
    numbers = np.zeros(areas.size, dtype=np.int32)
    numbers[kept] = np.arange(1, kept.size + 1)
    tidy: Labels = numbers[pieces]
    for number, window in enumerate(ndimage.find_objects(tidy), start=1):
        part = tidy[window]
        filled = ndimage.binary_fill_holes(part == number)
        part[filled & (part == 0)] = number
    return tidy


def enlarged(labels_hw: Labels, shape: tuple[int, int]) -> Labels:
    """The same ids over a window of another (height, width)."""
    if labels_hw.shape == shape:
        return labels_hw
    rows, columns = (
        np.minimum((np.arange(n) + 0.5) * m / n, m - 1).astype(np.intp)
        for n, m in zip(shape, labels_hw.shape, strict=True)
    )
    larger: Labels = labels_hw[np.ix_(rows, columns)]
    return larger


def _ends(
    directions_2hw: NDArray[np.float32],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    options: InstanceOptions,
) -> NDArray[np.intp]:
    """Where each of n pixels arrives, as a flat index; a bounded number at once."""
    # Who only plans a run, or lists models, need not wait for it.
    import torch  # noqa: PLC0415

    height, width = directions_2hw.shape[1:]
    # grid_sample counts from -1 to 1 over a map, and wants (x, y).
    per_pixel = torch.tensor([2 / width, 2 / height])
    field_xy = torch.from_numpy(np.ascontiguousarray(directions_2hw[::-1]))[None]
    field_xy = field_xy * (options.step_length * per_pixel)[:, None, None]
    ends = np.empty(rows.size, dtype=np.intp)
    for start in range(0, rows.size, POINTS_AT_ONCE):
        some = slice(start, start + POINTS_AT_ONCE)
        places = torch.from_numpy(np.stack([columns[some], rows[some]], axis=-1))
        xy = (places.float() + 0.5) * per_pixel - 1
        for _ in range(options.steps):
            moved = torch.nn.functional.grid_sample(
                field_xy, xy[None, None], padding_mode="border", align_corners=False
            )
            xy = (xy + moved[0, :, 0].T).clamp(-1, 1)
        x, y = ((xy + 1) / per_pixel).long().unbind(dim=-1)
        x, y = x.clamp(max=width - 1), y.clamp(max=height - 1)
        ends[some] = (y * width + x).numpy()
    return ends
