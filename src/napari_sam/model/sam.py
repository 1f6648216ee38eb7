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

from napari_sam.model.distance_decoder import DistanceDecoder
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.inference import (
    AxisScaling,
    DecoderImage,
    InferenceForm,
    RecentImages,
    decoder_image,
    draw_masks,
    encode_with_maps,
    precision_name,
    predict_masks,
    predict_points,
)
from napari_sam.model.instance_decoder import InstanceHead
from napari_sam.model.instances import InstanceMaps
from napari_sam.model.mask_decoder import MaskDecoder
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.prompt_encoder import PromptEncoder
from napari_sam.model.prompt_tensors import PromptTensors
from napari_sam.model.tiny_vit import TinyViT
from napari_sam.model.transforms import (
    ResizeLongestSide,
    WindowFrame,
    as_embeddings,
    resize_for_encoder,
)
from napari_sam.model.window_model import Embedding, PointMasks, PointQuery, WindowMask
from napari_sam.prompts import Click, Prompt, sam_points

WINDOWS_ON_GPU = 4
"""Windows that fill a large GPU; more only take more memory."""


class Sam(nn.Module):
    """The network and what its weights came with.

    Attributes
    ----------
    metadata : ModelMetadata
        Name, fingerprint, image size, normalisation.
    instance_decoder : InstanceHead, DistanceDecoder or None
        What finds all objects of a window without a prompt; None: it has none.
    mask_threshold : float
        A logit above this is inside.
    inference : InferenceForm or None
        The form in which the image encoder is used, and its precision. None: the plain
        encoder itself, which also encodes while it is in training mode.
    recent_images : RecentImages
        What the decoder computed of the latest embeddings; no part of the state.
    image_format : str
        The order of an image's colours.
    """

    image_format = "RGB"

    def __init__(
        self,
        image_encoder: ImageEncoderViT | TinyViT,
        prompt_encoder: PromptEncoder,
        mask_decoder: MaskDecoder,
        metadata: ModelMetadata,
        instance_decoder: InstanceHead | DistanceDecoder | None = None,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder
        self.instance_decoder = instance_decoder
        self.metadata = metadata
        self.mask_threshold = metadata.mask_threshold
        self.inference: InferenceForm | None = None
        self.recent_images = RecentImages()

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
    def transform(self) -> ResizeLongestSide:
        """What brings images and prompts to the size that the encoder works at."""
        return ResizeLongestSide(self.image_encoder.img_size)

    @property
    def needs_whole_window(self) -> bool:
        """Whether the image encoder only takes images of its full size."""
        return isinstance(self.image_encoder, ImageEncoderViT)

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
    def instance_share(self) -> float | None:
        """As `object_share`, for the instance decoder's maps."""
        return self.metadata.instance_share

    @property
    def finds_instances(self) -> bool:
        """Whether `encode_maps` says where all objects of a window are."""
        return self.instance_decoder is not None

    @property
    def maps_fingerprint(self) -> str:
        """Names what the maps are made by: the weights, and the precision."""
        return f"{self.metadata.maps_fingerprint or ''}{self.fingerprint}-maps"

    @property
    def point_query(self) -> PointQuery:
        """Which masks of a grid of clicks are worth having."""
        return self.metadata.point_query

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

        Returns
        -------
        Tensor
            (b, m, *original_size) logits.
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

        Returns
        -------
        Embedding
            Of the whole window, to be given to `predict`.
        """
        return self.encode_many([pixels_hwc])[0]

    def encode_many(self, windows: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
        """Embed windows as `encode` does, in one go."""
        if not windows:
            return []
        return as_embeddings(self.encode_images(self._squares(windows)), windows)

    def encode_maps(
        self, windows: Sequence[NDArray[np.uint8]]
    ) -> list[tuple[Embedding, InstanceMaps]]:
        """As `encode_many`, and where objects are; a MapError without a decoder."""
        if not windows:
            return []
        shapes = [(pixels.shape[0], pixels.shape[1]) for pixels in windows]
        features, maps = encode_with_maps(self, self._squares(windows), shapes)
        return list(zip(as_embeddings(features, windows), maps, strict=True))

    def embed(self, image_bchw: Tensor) -> Tensor:
        """Embed images that fill the encoder's square along their longest side.

        Parameters
        ----------
        image_bchw
            (b, 3, h, w), 0..255.

        Returns
        -------
        Tensor
            (b, c, side / 16, side / 16), float32.
        """
        return self.encode_images(self.preprocess(image_bchw.float()))

    def _squares(self, windows: Sequence[NDArray[np.uint8]]) -> Tensor:
        size = self.image_encoder.img_size
        return torch.stack(
            [self._square(resize_for_encoder(pixels, size)) for pixels in windows]
        )

    def _square(self, pixels_hwc: NDArray[np.uint8]) -> Tensor:
        # Bytes go to the device, and become numbers there.
        image = torch.from_numpy(pixels_hwc).to(self.device).permute(2, 0, 1)
        return self.preprocess(image.float())

    @torch.no_grad()
    def encode_images(self, image_bchw: Tensor) -> Tensor:
        """Embed normalised images that are padded to the encoder's square."""
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
        all other prompts get the one that the decoder was trained to give there.

        Parameters
        ----------
        embedding
            Of the window.
        prompts
            At least one, in pixels of the window.

        Returns
        -------
        tuple of WindowMask
            Over the window, with the logits that they were cut from.

        Raises
        ------
        PromptError
            There is no prompt.
        """
        frame = self._frame(embedding.window_shape)
        # A copy: torch does not take arrays that a cache made read-only.
        features = torch.tensor(embedding.features_chw, device=self.device)
        given = PromptTensors.of(prompts, frame, self._mask_side, self.device)
        sparse, dense = self.prompt_encoder(given.points, given.boxes, given.masks)
        low_res, scores = predict_masks(
            self.mask_decoder,
            self.decoder_image(features),
            sparse,
            None if given.masks is None else dense,
            multimask_output=len(prompts) == 1 and isinstance(prompts[0], Click),
        )
        logits = self.postprocess_masks(low_res, frame.resized, frame.shape)
        logits_mhw = logits[0].cpu().numpy()
        answers = [
            WindowMask(logit > self.mask_threshold, min(max(score, 0.0), 1.0), logit)
            for logit, score in zip(logits_mhw, scores[0].tolist(), strict=True)
        ]
        return tuple(sorted(answers, key=lambda answer: -answer.score))

    def predict_many(
        self, embedding: Embedding, clicks: Sequence[Click], query: PointQuery
    ) -> PointMasks:
        """Answer many clicks, each about an object of its own, with all it may mean."""
        features = torch.tensor(embedding.features_chw, device=self.device)
        frame = self._frame(embedding.window_shape)
        points_xy, _ = sam_points(clicks)
        centres_xy = frame.centres(points_xy) / frame.scale_xy
        return self.masks_at(features, centres_xy, frame.shape, query)

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
        frame = self._frame(shape)
        rows, columns = (
            AxisScaling.between(self._mask_side, frame.side, inner, outer)
            for inner, outer in zip(frame.resized, shape, strict=True)
        )
        axes = (rows.to(self.device), columns.to(self.device))
        scaled = points_xy * frame.scale_xy
        xy_n2 = torch.as_tensor(scaled, dtype=torch.float).to(self.device)
        encoder, decoder = self.prompt_encoder, self.mask_decoder
        image = self.decoder_image(features_chw)
        parts = []
        for start in range(0, len(xy_n2), query.clicks_at_once):
            some_n2 = xy_n2[start : start + query.clicks_at_once]
            logits = predict_points(encoder, decoder, image, some_n2, query)
            masks = draw_masks(logits, axes, self.mask_threshold, query)
            parts.append(replace(masks, clicks_n=masks.clicks_n + start))
        return PointMasks.joined(parts)

    def decoder_image(self, features_chw: Tensor) -> DecoderImage:
        """An embedding as the decoder takes it; kept for the next prompts on it."""
        encoder, decoder = self.prompt_encoder, self.mask_decoder
        return decoder_image(encoder, decoder, features_chw, self.recent_images)

    def _frame(self, shape: tuple[int, int]) -> WindowFrame:
        return WindowFrame(shape, self.image_encoder.img_size)

    @property
    def _mask_side(self) -> int:
        """Of the decoder's logits, and of the prompt encoder's mask prompts."""
        return 4 * self.prompt_encoder.image_embedding_side
