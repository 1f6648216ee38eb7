"""One in-memory image, with the interface of `segment_anything.SamPredictor`.

A script that uses theirs runs with the import changed. Coordinates are SAM's here,
(x, y); everywhere else in this project they are (y, x). For images that need not
fit in memory use `ImagePredictor`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam.errors import PredictorError, PromptError
from napari_sam.model.resizing import input_shape, resize_for_encoder
from napari_sam.model.sam import Sam

FloatArray = NDArray[np.floating]
FORMATS = ("RGB", "BGR")


class ResizeLongestSide:
    """Bring images and prompts to the size that the encoder works at.

    Parameters
    ----------
    target_length
        Pixels of the longest side.
    """

    def __init__(self, target_length: int) -> None:
        self.target_length = target_length

    def apply_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize (h, w, 3) pixels."""
        return resize_for_encoder(image, self.target_length)

    def apply_coords(
        self, coords: FloatArray, original_size: tuple[int, ...]
    ) -> FloatArray:
        """Scale (..., 2) points (x, y), given the image's (height, width)."""
        height, width = original_size
        new_height, new_width = input_shape((height, width), self.target_length)
        return coords.astype(float) * (new_width / width, new_height / height)

    def apply_boxes(
        self, boxes: FloatArray, original_size: tuple[int, ...]
    ) -> FloatArray:
        """Scale (n, 4) boxes x0, y0, x1, y1."""
        return self.apply_coords(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def apply_coords_torch(
        self, coords: Tensor, original_size: tuple[int, ...]
    ) -> Tensor:
        """Scale (..., 2) points (x, y) in a tensor."""
        height, width = original_size
        new_height, new_width = input_shape((height, width), self.target_length)
        return coords.float() * coords.new_tensor(
            (new_width / width, new_height / height), dtype=torch.float
        )

    def apply_boxes_torch(
        self, boxes: Tensor, original_size: tuple[int, ...]
    ) -> Tensor:
        """Scale (n, 4) boxes x0, y0, x1, y1 in a tensor."""
        scaled = self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size)
        return scaled.reshape(-1, 4)


class SamPredictor:
    """Embed an image once, then answer any number of prompts about it.

    Parameters
    ----------
    sam_model
        From `load_model`.
    """

    def __init__(self, sam_model: Sam) -> None:
        self.model = sam_model
        self.transform = ResizeLongestSide(sam_model.image_encoder.img_size)
        self.reset_image()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def reset_image(self) -> None:
        """Forget the image."""
        self.is_image_set = False
        self.features: Tensor | None = None
        self.original_size: tuple[int, ...] | None = None
        self.input_size: tuple[int, ...] | None = None

    def set_image(self, image: NDArray[np.uint8], image_format: str = "RGB") -> None:
        """Embed an image.

        Parameters
        ----------
        image
            (height, width, 3) uint8, 0..255.
        image_format
            Order of its colours, "RGB" or "BGR".
        """
        if image_format not in FORMATS:
            raise PredictorError(
                f"image_format is 'RGB' or 'BGR', got {image_format!r}."
            )
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise PredictorError(
                "set_image needs a uint8 array of shape (height, width, 3), got "
                f"{image.dtype} {image.shape}. Stretch intensities to 0..255 and "
                "repeat a grey image three times, or use ImagePredictor, which does."
            )
        if image_format != self.model.image_format:
            image = image[..., ::-1]
        resized = self.transform.apply_image(np.ascontiguousarray(image))
        tensor = torch.as_tensor(resized, device=self.device)
        image_bchw = tensor.permute(2, 0, 1).contiguous()[None]
        self.set_torch_image(image_bchw, image.shape[:2])

    @torch.no_grad()
    def set_torch_image(
        self, transformed_image: Tensor, original_image_size: tuple[int, ...]
    ) -> None:
        """Embed an image that `transform` has resized already.

        Parameters
        ----------
        transformed_image
            (1, 3, h, w), 0..255, its longest side as long as the encoder's.
        original_image_size
            (height, width) before resizing.
        """
        side = self.model.image_encoder.img_size
        shape = tuple(transformed_image.shape)
        if len(shape) != 4 or shape[:2] != (1, 3) or max(shape[2:]) != side:
            raise PredictorError(
                f"set_torch_image needs shape (1, 3, h, w) with a longest side of "
                f"{side}, got {shape}. Resize with `transform.apply_image` first."
            )
        self.reset_image()
        self.original_size = tuple(original_image_size)
        self.input_size = shape[-2:]
        self.features = self.model.image_encoder(
            self.model.preprocess(transformed_image)
        )
        self.is_image_set = True

    def predict(
        self,
        point_coords: FloatArray | None = None,
        point_labels: NDArray[np.integer] | None = None,
        box: FloatArray | None = None,
        mask_input: FloatArray | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[NDArray[np.bool_] | FloatArray, FloatArray, FloatArray]:
        """Answer prompts about one object.

        Parameters
        ----------
        point_coords, point_labels
            (n, 2) points (x, y) in pixels, and (n,) labels, 1 on the object, 0 off it.
        box
            (4,) x0, y0, x1, y1.
        mask_input
            (1, h, w) low-resolution logits of an earlier answer.
        multimask_output
            Three masks, for a prompt that may mean several things, or one.
        return_logits
            Logits instead of bool masks.

        Returns
        -------
        Masks (m, height, width), their expected IoUs (m,), and low-resolution
        logits (m, h, w) that can be given back as `mask_input`.
        """
        size = self._image_size()
        points = labels = box_tensor = mask_tensor = None
        if point_coords is not None:
            if point_labels is None:
                raise PromptError("point_coords need point_labels, got None.")
            scaled = self.transform.apply_coords(np.asarray(point_coords), size)
            points = torch.as_tensor(scaled, dtype=torch.float, device=self.device)[
                None
            ]
            labels = torch.as_tensor(point_labels, dtype=torch.int, device=self.device)
            labels = labels[None]
        if box is not None:
            scaled = self.transform.apply_boxes(np.asarray(box), size)
            box_tensor = torch.as_tensor(scaled, dtype=torch.float, device=self.device)
        if mask_input is not None:
            mask_tensor = torch.as_tensor(
                mask_input, dtype=torch.float, device=self.device
            )[None]
        masks, scores, low_res = self.predict_torch(
            points, labels, box_tensor, mask_tensor, multimask_output, return_logits
        )
        return (
            masks[0].detach().cpu().numpy(),
            scores[0].detach().cpu().numpy(),
            low_res[0].detach().cpu().numpy(),
        )

    @torch.no_grad()
    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Answer prompts about b objects at once; prompts are scaled by `transform`.

        Parameters
        ----------
        point_coords, point_labels
            (b, n, 2) points (x, y) and (b, n) labels.
        boxes
            (b, 4).
        mask_input
            (b, 1, h, w) low-resolution logits.
        multimask_output, return_logits
            As in `predict`.

        Returns
        -------
        Masks (b, m, height, width), expected IoUs (b, m), low-resolution logits
        (b, m, h, w).
        """
        size = self._image_size()
        points = None
        if point_coords is not None:
            if point_labels is None:
                raise PromptError("point_coords need point_labels, got None.")
            points = (point_coords, point_labels)
        sparse, dense = self.model.prompt_encoder(points, boxes, mask_input)
        low_res, scores = self.model.mask_decoder(
            self.features,
            self.model.prompt_encoder.get_dense_pe(),
            sparse,
            dense,
            multimask_output=multimask_output,
        )
        masks = self.model.postprocess_masks(low_res, self.input_size or size, size)
        if not return_logits:
            masks = masks > self.model.mask_threshold
        return masks, scores, low_res

    def get_image_embedding(self) -> Tensor:
        """The embedding of the image, (1, c, h, w)."""
        self._image_size()
        if self.features is None:
            raise PredictorError("The features of the image are gone; call set_image.")
        return self.features

    def _image_size(self) -> tuple[int, ...]:
        if not self.is_image_set or self.original_size is None:
            raise PredictorError("An image must be set with set_image(...) first.")
        return self.original_size
