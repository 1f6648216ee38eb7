"""Masks that are no object but what lies between objects.

A click beside an object is answered, too: with the surroundings. Such a mask spans the
window, or it stands out the wrong way: where the masks of a window are brighter than
what is right around them, one that is darker, and dark at that, is background. The
masks themselves vote on which way is right; a vote that is not clear rejects nothing,
so dense tissue, where objects border on objects, keeps all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_sam.model.window_model import PointMasks

CLEAR_VOTE = 0.75
RING_SHARE = 0.15  # width of what is around an object, in sides of the object


def spans_window(
    masks: PointMasks, shape: tuple[int, int], max_share: float
) -> NDArray[np.bool_]:
    """Whether a mask touches all four borders, or covers more than a share."""
    whole = np.array([0, 0, *shape])
    spans: NDArray[np.bool_] = (masks.boxes_n4 == whole).all(axis=1)
    return spans | (masks.areas_n > max_share * shape[0] * shape[1])


def looks_like_background(
    masks: PointMasks, gray_hw: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Whether a mask's inside is like what is between the objects of the window.

    Parameters
    ----------
    masks
        Of the window; their scores are the weights of their votes.
    gray_hw
        The window's intensities.
    """
    if len(masks) == 0 or np.ptp(gray_hw) == 0:
        return np.zeros(len(masks), dtype=bool)
    levels = np.array(
        [_inside_and_around(masks, i, gray_hw) for i in range(len(masks))]
    )
    inside, contrast = levels[:, 0], levels[:, 0] - levels[:, 1]
    weights = np.clip(masks.scores_n, 0, None)
    votes = float((weights * np.sign(contrast)).sum())
    if abs(votes) < (2 * CLEAR_VOTE - 1) * weights.sum():
        return np.zeros(len(masks), dtype=bool)
    way = np.sign(votes)
    cut: float = threshold_otsu(gray_hw)  # type: ignore[no-untyped-call]
    like: NDArray[np.bool_] = (way * contrast < 0) & (way * (inside - cut) < 0)
    return like


def _inside_and_around(
    masks: PointMasks, index: int, gray_hw: NDArray[np.floating]
) -> tuple[float, float]:
    """Mean intensity in a mask and in a ring around it; alike where there is none."""
    crop = masks.crop(index)
    area = np.count_nonzero(crop)
    if area == 0:
        return 0.0, 0.0
    width = max(round(RING_SHARE * area**0.5), 2)
    y0, x0, y1, x1 = masks.boxes_n4[index].tolist()
    wide = np.zeros([side + 2 * width for side in crop.shape], dtype=bool)
    wide[width:-width, width:-width] = crop
    reach = ndimage.maximum_filter(
        wide.view(np.uint8), 2 * width + 1, mode="constant"
    ).view(bool)
    ring = reach & ~wide
    top, left = min(y0, width), min(x0, width)
    pixels = gray_hw[y0 - top : y1 + width, x0 - left : x1 + width]
    first = (width - top, width - left)
    part = tuple(
        slice(start, start + length)
        for start, length in zip(first, pixels.shape, strict=True)
    )
    inside = float(pixels[wide[part]].mean())
    around = pixels[ring[part]]
    return inside, float(around.mean()) if around.size else inside
