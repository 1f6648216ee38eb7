"""Changes of intensity and colour: what microscopes differ in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.training.config import Augmentation

SMALLEST_SPAN = 0.1
"""Of intensities, 0..1, that is stretched: what is flat stays flat."""


def recolour(
    pixels_hwc: NDArray[np.uint8], options: Augmentation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Stretch, gamma, inversion, channel mixes, blur, contrast, noise, darkness.

    Parameters
    ----------
    pixels_hwc
        (h, w, 3).
    options
        How strong or how often.
    rng
        Drawn from in one order, whatever is changed.
    """
    x = pixels_hwc / np.float32(255)
    if rng.random() < options.stretch:
        low, high = np.percentile(x, [rng.uniform(0, 5), rng.uniform(96, 100)])
        x = np.clip((x - low) / max(high - low, SMALLEST_SPAN), 0, 1).astype(np.float32)
    x = x ** np.float32(np.exp(rng.uniform(-options.gamma, options.gamma)))
    if rng.random() < options.inversion:
        x = 1 - x
    if rng.random() < options.grey:
        x = np.repeat(x.mean(axis=-1, keepdims=True), 3, axis=-1)
    if rng.random() < options.swap:
        x = x[..., rng.permutation(3)]
    if rng.random() < options.blur:
        x = ndimage.gaussian_filter(x, (*[rng.uniform(0.3, 1.2)] * 2, 0))
    x = x * rng.uniform(0.7, 1.1) + rng.uniform(-0.05, 0.15)
    if rng.random() < options.noise:
        noise = rng.standard_normal(x.shape[:2], dtype=np.float32)
        x = x + noise[..., None] * rng.uniform(0.01, 0.08)
    if rng.random() < options.dark:
        # As a camera leaves them that nobody stretches: SamPredictor sees such.
        x = x * np.exp(rng.uniform(np.log(0.12), 0))
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)
