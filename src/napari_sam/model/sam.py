"""Segment Anything: an image encoder, a prompt encoder and a mask decoder.

`Sam` is what `load_model` returns. It is the network of the paper, with the
published parameter names, and at the same time a `WindowModel`: `encode` and
`predict` take and return numpy, in the window's own pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.errors import PromptError
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.inference.encoder import InferenceForm
from napari_sam.model.inference.mask_decoder import image_of, predict_masks
from napari_sam.model.inference.postprocessing import AxisScaling, draw_masks
from napari_sam.model.inference.precision import precision_name
from napari_sam.model.many_points import answer_points
from napari_sam.model.mask_decoder import MaskDecoder
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.point_masks import (
    OWN_QUERY,
    PUBLISHED_QUERY,
    PointMasks,
    PointQuery,
)
from napari_sam.model.prompt_encoder import PromptEncoder
from napari_sam.model.tiny_vit import TinyViT
from napari_sam.model.transforms import input_shape, resize_for_encoder
from napari_sam.model.window_model import Embedding, WindowMask
from napari_sam.prompts import (
    MASK_PROMPT_LOGIT,
    BoxPrompt,
    Click,
    MaskPrompt,
    Prompt,
    sam_box,
    sam_points,
)

WINDOWS_ON_GPU = 4
"""Windows that fill a large GPU; more only take more memory."""


class Sam(nn.Module):
    """The network and what its weights came with.

    Attributes
    ----------
    metadata
        Name, fingerprint, image size, normalisation.
    mask_threshold
        A logit above this is inside.
    inference
        The form in which the image encoder is used, and its precision; None, or while
        the encoder is in training mode: the plain encoder itself.
    image_format
        The order of an image's colours.
    """

    image_format = "RGB"

    def __init__(
        self,
        image_encoder: ImageEncoderViT | TinyViT,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
        metadata: ModelMetadata,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.metadata = metadata
        self.mask_threshold = metadata.mask_threshold
        self.inference: InferenceForm | None = None

    @property
    def precision(self) -> torch.dtype:
        """Of the numbers that windows are encoded with."""
        return torch.float32 if self.inference is None else self.inference.dtype

    @property
    def windows_at_once(self) -> int:
        """Windows that `encode_many` is best given: a processor takes one by one."""
        return WINDOWS_ON_GPU if self.device.type == "cuda" else 1

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.mask_decoder.iou_token.weight.device

    @property
    def pixel_mean(self) -> Tensor:
        """Mean of each colour, (3, 1, 1), in grey levels 0..255."""
        return torch.tensor(self.metadata.pixel_mean, device=self.device).view(-1, 1, 1)

    @property
    def pixel_std(self) -> Tensor:
        """Standard deviation of each colour, (3, 1, 1), in grey levels 0..255."""
        return torch.tensor(self.metadata.pixel_std, device=self.device).view(-1, 1, 1)

    @property
    def window_size(self) -> int:
        """Side of the window that is encoded at once, in pixels of the image."""
        return self.metadata.window_size or self.image_encoder.img_size

    @property
    def window_sizes(self) -> tuple[int, ...]:
        """Sides of the windows that the weights were made for, smallest first."""
        return self.metadata.window_sizes or (self.window_size,)

    @property
    def object_share(self) -> float | None:
        """Side of an object that is seen best, in sides of its window; None: any."""
        return self.metadata.object_share

    @property
    def fingerprint(self) -> str:
        """Names the weights, and the precision if it is lowered."""
        if self.precision == torch.float32:
            return self.metadata.fingerprint
        return f"{self.metadata.fingerprint}-{precision_name(self.precision)}"

    @property
    def point_query(self) -> PointQuery:
        """Which answers to a grid of clicks are worth having.

        Weights that this project trained say how, and need other thresholds.
        """
        is_own = "training" in self.metadata.file_metadata
        return OWN_QUERY if is_own else PUBLISHED_QUERY

    def preprocess(self, image_bchw: Tensor) -> Tensor:
        """Normalise images of 0..255 and pad them, right and below, to a square."""
        size = self.image_encoder.img_size
        x = (image_bchw - self.pixel_mean) / self.pixel_std
        h, w = x.shape[-2:]
        return F.pad(x, (0, size - w, 0, size - h))

    def postprocess_masks(
        self, masks: Tensor, input_size: tuple[int, ...], original_size: tuple[int, ...]
    ) -> Tensor:
        """Logits as the decoder gives them -> logits of the original image's size.

        Parameters
        ----------
        masks
            (b, m, h, w) low-resolution logits over the padded square.
        input_size
            (height, width) of the image that was padded.
        original_size
            (height, width) of the image before it was resized.
        """
        side = self.image_encoder.img_size
        masks = F.interpolate(masks, (side, side), mode="bilinear", align_corners=False)
        masks = masks[..., : input_size[0], : input_size[1]]
        if masks.shape[-2:] == tuple(original_size):
            return masks  # every pixel would be mixed from itself alone
        return F.interpolate(
            masks, tuple(original_size), mode="bilinear", align_corners=False
        )

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> Embedding:
        """Embed an RGB window of any size; it is resized so that it fills a square.

        Parameters
        ----------
        pixels_hwc
            (height, width, 3), 0..255.
        """
        return self.encode_many([pixels_hwc])[0]

    def encode_many(self, windows: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
        """Embed windows as `encode` does, in one go."""
        if not windows:
            return []
        size = self.image_encoder.img_size
        images = [
            self._square(resize_for_encoder(pixels_hwc, size)) for pixels_hwc in windows
        ]
        features_bchw = self._encode_images(torch.stack(images)).half().cpu().numpy()
        return [
            Embedding(features_chw, (pixels_hwc.shape[0], pixels_hwc.shape[1]))
            for features_chw, pixels_hwc in zip(features_bchw, windows, strict=True)
        ]

    def embed(self, image_bchw: Tensor) -> Tensor:
        """Embed images that fill the encoder's square along their longest side.

        Parameters
        ----------
        image_bchw
            (b, 3, h, w), 0..255.

        Returns
        -------
        (b, c, side / 16, side / 16), float32.
        """
        return self._encode_images(self.preprocess(image_bchw.float()))

    def _square(self, pixels_hwc: NDArray[np.uint8]) -> Tensor:
        # Bytes go to the device, and become numbers there.
        image = torch.from_numpy(pixels_hwc).to(self.device).permute(2, 0, 1)
        return self.preprocess(image.float())

    @torch.no_grad()
    def _encode_images(self, image_bchw: Tensor) -> Tensor:
        if self.inference is None or self.image_encoder.training:
            features: Tensor = self.image_encoder(image_bchw)
            return features
        with torch.autocast(self.device.type, enabled=False):
            return self.inference.of(self.image_encoder)(image_bchw)

    @torch.no_grad()
    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt]
    ) -> tuple[WindowMask, ...]:
        """Answer prompts about one object in a window, best score first.

        A single click may mean a part, an object or a group, and gets three answers;
        everything else gets the one that the decoder was trained to give there.
        """
        shape = embedding.window_shape
        resized = input_shape(shape, self.image_encoder.img_size)
        # A copy: torch does not take arrays that a cache made read-only.
        features = torch.tensor(embedding.features_chw, device=self.device)
        points, box, mask = self._prompt_tensors(prompts, shape, resized)
        sparse, dense = self.prompt_encoder(points, box, mask)
        low_res, scores = predict_masks(
            self.mask_decoder,
            image_of(self.prompt_encoder, self.mask_decoder, features),
            sparse,
            None if mask is None else dense,
            multimask_output=len(prompts) == 1 and isinstance(prompts[0], Click),
        )
        logits = self.postprocess_masks(low_res, resized, shape)[0].cpu().numpy()
        answers = [
            WindowMask(logit > self.mask_threshold, min(max(score, 0.0), 1.0), logit)
            for logit, score in zip(logits, scores[0].tolist(), strict=True)
        ]
        return tuple(sorted(answers, key=lambda answer: -answer.score))

    def predict_many(
        self, embedding: Embedding, clicks: Sequence[Click], query: PointQuery
    ) -> PointMasks:
        """Answer many clicks, each about an object of its own, with all it may mean."""
        features = torch.tensor(embedding.features_chw, device=self.device)
        shape = embedding.window_shape
        scale_xy = self._scale_xy(shape)
        points_xy, _ = sam_points(clicks)
        centres_xy = _centres(points_xy, scale_xy) / scale_xy
        return self.masks_at(features, centres_xy, shape, query)

    @torch.no_grad()
    def masks_at(
        self,
        features_chw: Tensor,
        points_xy: NDArray[np.floating],
        shape: tuple[int, int],
        query: PointQuery,
    ) -> PointMasks:
        """The masks of `predict_many`, given SAM's coordinates.

        Parameters
        ----------
        features_chw
            What the image encoder made of the window.
        points_xy
            (n, 2) x, y in pixels of the window; whole numbers are pixel centres.
        shape
            (height, width) of the window.
        query
            Which masks are wanted.
        """
        side = self.image_encoder.img_size
        resized = input_shape(shape, side)
        low = 4 * self.prompt_encoder.image_embedding_side
        rows, columns = (
            AxisScaling.between(low, side, inner, outer).to(self.device)
            for inner, outer in zip(resized, shape, strict=True)
        )
        scaled = points_xy * self._scale_xy(shape)
        xy_n2 = torch.as_tensor(scaled, dtype=torch.float).to(self.device)
        parts = []
        for start in range(0, len(xy_n2), query.clicks_at_once):
            answers = answer_points(
                self.prompt_encoder,
                self.mask_decoder,
                features_chw,
                xy_n2[start : start + query.clicks_at_once],
                query,
            )
            found = draw_masks(answers, (rows, columns), self.mask_threshold, query)
            parts.append(replace(found, clicks_n=found.clicks_n + start))
        return PointMasks.joined(parts)

    def _scale_xy(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Pixels of the encoder in one of a window's, along x and y."""
        rows, columns = input_shape(shape, self.image_encoder.img_size)
        return np.array([columns / shape[1], rows / shape[0]])

    def _prompt_tensors(
        self,
        prompts: Sequence[Prompt],
        shape: tuple[int, int],
        resized: tuple[int, int],
    ) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None, Tensor | None]:
        if not prompts:
            raise PromptError("A model needs at least one prompt, got none.")
        scale_xy = self._scale_xy(shape)
        clicks = [prompt for prompt in prompts if isinstance(prompt, Click)]
        boxes = [prompt for prompt in prompts if isinstance(prompt, BoxPrompt)]
        masks = [prompt for prompt in prompts if isinstance(prompt, MaskPrompt)]
        points_tensor = box_tensor = mask_tensor = None
        if clicks:
            points, labels = sam_points(clicks)
            centres = _centres(points, scale_xy).astype(np.float32)
            xy = torch.from_numpy(centres).to(self.device)[None]
            points_tensor = (xy, torch.from_numpy(labels).to(self.device)[None])
        if boxes:
            # Several boxes are about the same object: it lies in all that they cover.
            corners = np.stack([sam_box(box) for box in boxes]).reshape(-1, 2, 2)
            corners = np.stack([corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)])
            # The far corner is a pixel too: of an enlarged window, the last it fills.
            far = (corners[1] + 1) * scale_xy - 1
            box = np.concatenate([corners[0] * scale_xy, far]).astype(np.float32)
            box_tensor = torch.from_numpy(box).to(self.device)[None]
        if masks:
            mask_tensor = self._mask_tensor(masks, shape, resized).to(self.device)
        return points_tensor, box_tensor, mask_tensor

    def _mask_tensor(
        self,
        masks: Sequence[MaskPrompt],
        shape: tuple[int, int],
        resized: tuple[int, int],
    ) -> Tensor:
        """Mask prompts as the prompt encoder wants them: (1, 1, side, side) logits."""
        window_hw = np.full(shape, -MASK_PROMPT_LOGIT, dtype=np.float32)
        for mask in masks:
            part = window_hw[mask.box.slices]
            np.maximum(part, mask.logits_hw, out=part)
        size = self.image_encoder.img_size
        filled = F.interpolate(
            torch.from_numpy(window_hw)[None, None],
            resized,
            mode="bilinear",
            align_corners=False,
        )
        padding = (0, size - resized[1], 0, size - resized[0])
        square = F.pad(filled, padding, value=-MASK_PROMPT_LOGIT)
        side = 4 * self.prompt_encoder.image_embedding_side
        return F.interpolate(square, (side, side), mode="bilinear", antialias=True)


def _centres(
    points_xy: NDArray[np.floating], scale_xy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where the centres of a window's pixels lie in the encoder's pixels.

    Both count from the centre of the first pixel; in an enlarged window the one is not
    the centre of the other.
    """
    return (points_xy + 0.5) * scale_xy - 0.5
