"""How large the objects of an image are, estimated from its blobs, with no model.

Blobs are searched at many scales. The Laplacian of a Gaussian, times its variance,
responds to a disc of radius r most strongly at sigma = r / sqrt(2), at its centre,
whatever its intensity (Lindeberg 1998). So every extremum over position and scale is a
blob with a size. The strong ones are weighted by their response times their sigma, so
that the texture of an object counts less than the object, and their weighted median is
the size of the image's objects. Whether those are bright or dark follows from the skew
of the intensities: objects are what there is less of.

It is the size of what stands out, which suits nuclei, cells and vesicles. Cells that
are outlined rather than filled, as in phase contrast, have parts that stand out more:
there a trial with the model is better (`size_trial`), or a person gives the size.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from napari_sam.errors import ImageError

LONGEST_SIDE = 512  # pixels, to which an image is averaged
SMOOTHING = 2.0  # pixels, of noise, before the skew is taken
SCALE_STEP = 1.25
SMALLEST_SIGMA = 1.5  # pixels
LARGEST_SHARE = 0.5  # of the short side, of the largest object
STRONG = 0.35  # share of a strong blob's response
SIDE_PER_SIGMA = sqrt(2 * pi)
"""Square root of the area of the disc that a sigma answers most strongly."""


@dataclass(frozen=True, slots=True)
class BlobEstimate:
    """What stands out in an image.

    Parameters
    ----------
    object_size
        Side of a typical object, the square root of its area, in pixels.
    bright
        Whether objects are brighter than what is around them.
    """

    object_size: float
    bright: bool


def estimate_object_size(pixels: NDArray[np.generic]) -> float | None:
    """Side of a typical object, in pixels of the image; None where nothing stands out.

    Parameters
    ----------
    pixels
        (height, width) or (height, width, channels), such as a coarse level of an
        image; what comes out is in the pixels of that level.

    Returns
    -------
    float or None
        The square root of the object's area.
    """
    estimate = estimate_blobs(pixels)
    return estimate.object_size if estimate else None


def estimate_blobs(pixels: NDArray[np.generic]) -> BlobEstimate | None:
    """Size and polarity of what stands out, None where nothing does."""
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ImageError(
            "A size is estimated from pixels (height, width) or (height, width, "
            f"channels), got shape {pixels.shape}."
        )
    gray = pixels.astype(np.float32)
    gray = gray.mean(axis=2) if gray.ndim == 3 else gray
    factor = ceil(max(gray.shape) / LONGEST_SIDE)
    gray = _block_means(gray, factor)
    if np.ptp(gray) == 0:
        return None
    sigmas = _sigmas(min(gray.shape))
    if len(sigmas) < 3:
        return None
    bright = _are_few_bright(gray)
    found, strengths = _blobs(gray if bright else -gray, sigmas)
    if len(found) == 0:
        return None
    sigma = _weighted_median(found, strengths * found)
    return BlobEstimate(sigma * SIDE_PER_SIGMA * factor, bright)


def _are_few_bright(gray: NDArray[np.float32]) -> bool:
    smooth = ndimage.gaussian_filter(gray, SMOOTHING)
    return float(((smooth - smooth.mean()) ** 3).mean()) >= 0


def _sigmas(short_side: int) -> NDArray[np.float64]:
    largest = LARGEST_SHARE * short_side / SIDE_PER_SIGMA
    count = int(np.log(max(largest / SMALLEST_SIGMA, 1)) / np.log(SCALE_STEP)) + 1
    # One smaller and one larger, so that the ends can be extrema too.
    return SMALLEST_SIGMA * SCALE_STEP ** np.arange(-1.0, count + 1)


def _block_means(gray: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    height, width = (side // factor * factor for side in gray.shape)
    blocks = gray[:height, :width].reshape(
        height // factor, factor, width // factor, factor
    )
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3))
    return means


def _blobs(
    gray: NDArray[np.float32], sigmas: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Sigmas and strengths of the bright blobs that stand out."""
    # Cosines are mirrored at the borders, and turn both filters into a product.
    waves = fft.dctn(gray)
    k2 = sum(
        (np.pi * np.arange(side) / side).reshape(shape) ** 2
        for side, shape in zip(gray.shape, ((-1, 1), (1, -1)), strict=True)
    )
    responses = np.stack(
        [fft.idctn(waves * s**2 * k2 * np.exp(-(s**2) * k2 / 2)) for s in sigmas]
    )
    highest = ndimage.maximum_filter(responses, size=3) == responses
    highest[[0, -1]] = False
    scales = np.nonzero(highest & (responses > 0))[0]
    strengths = responses[highest & (responses > 0)]
    if len(strengths) == 0:
        return sigmas[:0], strengths
    # Not of the strongest: one speck of dirt must not hide every object.
    strong = strengths > STRONG * np.percentile(strengths, 99)
    return sigmas[scales[strong]], strengths[strong]


def _weighted_median(
    values: NDArray[np.float64], weights: NDArray[np.floating]
) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(share, 0.5)])
