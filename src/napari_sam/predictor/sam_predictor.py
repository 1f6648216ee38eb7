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
from napari_sam.model import Sam
from napari_sam.model.inference import predict_masks

FloatArray = NDArray[np.floating]
FORMATS = ("RGB", "BGR")


class SamPredictor:
    """Embed an image once, then predict for any number of prompts.

    Parameters
    ----------
    sam_model
        From `load_model`.
    """

    def __init__(self, sam_model: Sam) -> None:
        if not isinstance(sam_model, Sam):
            raise PredictorError(
                "A SamPredictor needs a model, as load_model or sam_model_registry "
                f"gives it; got {type(sam_model).__name__}."
            )
        self.model = sam_model
        self.transform = sam_model.transform
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
                f"image_format needs to be 'RGB' or 'BGR', got {image_format!r}."
            )
        image = np.asarray(image)
        is_rgb = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
        if not is_rgb or image.size == 0:
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
        self.features = self.model.embed(transformed_image)
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
        """Predict masks of one object.

        Parameters
        ----------
        point_coords, point_labels
            (n, 2) points (x, y) in pixels, and (n,) labels, 1 on the object, 0 off it.
        box
            (4,) x0, y0, x1, y1.
        mask_input
            (1, h, w) low-resolution logits of an earlier prediction.
        multimask_output
            Three masks, for a prompt that may mean several things, or one.
        return_logits
            Logits instead of bool masks.

        Returns
        -------
        masks : ndarray
            (m, height, width), bool, or the logits where these are wanted.
        scores : ndarray
            (m,), the predicted IoU of each.
        logits : ndarray
            (m, h, w), low-resolution, to be given back as `mask_input`.
        """
        size = self._image_size()
        points = labels = box_tensor = mask_tensor = None
        if point_coords is not None:
            if point_labels is None:
                raise PromptError("point_coords need point_labels, got None.")
            coords = np.asarray(point_coords)
            if coords.ndim != 2 or coords.shape[1] != 2:
                raise PromptError(
                    "point_coords need shape (n, 2), rows of x, y in pixels, got "
                    f"{coords.shape}."
                )
            scaled = self.transform.apply_coords(coords, size)
            points = torch.as_tensor(scaled, dtype=torch.float, device=self.device)[
                None
            ]
            labels = torch.as_tensor(point_labels, dtype=torch.int, device=self.device)
            labels = labels[None]
        if box is not None:
            if np.size(box) != 4:
                raise PromptError(
                    f"box needs x0, y0, x1, y1 of one box, got shape {np.shape(box)}. "
                    "For several objects at once use predict_torch."
                )
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
        """Predict masks of b objects at once; prompts are scaled by `transform`.

        Parameters
        ----------
        point_coords, point_labels
            (b, n, 2) points (x, y) and (b, n) labels.
        boxes
            (b, 4).
        mask_input
            (b, 1, h, w) low-resolution logits, or (1, 1, h, w) for all of them.
        multimask_output, return_logits
            As in `predict`.

        Returns
        -------
        masks : Tensor
            (b, m, height, width), bool, or the logits where these are wanted.
        scores : Tensor
            (b, m), the predicted IoU of each.
        logits : Tensor
            (b, m, h, w), low-resolution.
        """
        size = self._image_size()
        points = None
        if point_coords is not None:
            if point_labels is None:
                raise PromptError("point_coords need point_labels, got None.")
            points = (point_coords, point_labels)
        others = [given for given in (point_coords, boxes) if given is not None]
        if mask_input is not None and len(mask_input) == 1 and others:
            mask_input = mask_input.expand(len(others[0]), *mask_input.shape[1:])
        self._check_shapes(points, boxes, mask_input)
        sparse, dense = self.model.prompt_encoder(points, boxes, mask_input)
        low_res, scores = predict_masks(
            self.model.mask_decoder,
            self.model.decoder_image(self.get_image_embedding()[0]),
            sparse,
            None if mask_input is None else dense,
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

    def _check_shapes(
        self,
        points: tuple[Tensor, Tensor] | None,
        boxes: Tensor | None,
        mask_input: Tensor | None,
    ) -> None:
        side = 4 * self.model.prompt_encoder.image_embedding_side
        given: list[tuple[str, Tensor, tuple[str | int, ...]]] = []
        if points is not None:
            count = points[0].shape[-2] if points[0].ndim > 1 else 0
            given.append(("point_coords", points[0], ("b", count, 2)))
            given.append(("point_labels", points[1], ("b", count)))
        if boxes is not None:
            given.append(("boxes", boxes, ("b", 4)))
        if mask_input is not None:
            given.append(("mask_input", mask_input, ("b", 1, side, side)))
        for name, value, (_, *form) in given:
            if list(value.shape[1:]) != form or len(value) != len(given[0][1]):
                wanted = ", ".join(str(length) for length in ("b", *form))
                raise PromptError(
                    f"{name} need shape ({wanted}), with one b for all prompts, got "
                    f"{tuple(value.shape)}."
                )
            if not value.isfinite().all():
                raise PromptError(f"{name} need finite numbers, got NaN or inf.")

    def _image_size(self) -> tuple[int, ...]:
        if not self.is_image_set or self.original_size is None:
            raise PredictorError("An image must be set with set_image(...) first.")
        return self.original_size
