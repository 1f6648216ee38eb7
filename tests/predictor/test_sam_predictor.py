"""The interface of `segment_anything.SamPredictor`, on a network of random weights."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_sam.errors import PredictorError, PromptError
from napari_sam.model.build import new_tiny_sam
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam
from napari_sam.model.transforms import ResizeLongestSide
from napari_sam.predictor.sam_predictor import SamPredictor

SIDE = 64
SHAPE = (40, 80)  # of the image; 32 x 64 in the network
POINT = np.array([[20, 10]])
ON = np.array([1])
BOX = np.array([5, 6, 50, 30])


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(3)
    return new_tiny_sam(ModelMetadata("tiny", "random", image_size=SIDE)).eval()


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


@pytest.fixture
def predictor(sam: Sam, pixels: NDArray[np.uint8]) -> SamPredictor:
    predictor = SamPredictor(sam)
    predictor.set_image(pixels)
    return predictor


def test_setting_an_image_fills_the_attributes_of_theirs(
    predictor: SamPredictor, sam: Sam
) -> None:
    assert predictor.model is sam
    assert predictor.device == torch.device("cpu")
    assert predictor.is_image_set
    assert predictor.original_size == SHAPE
    assert predictor.input_size == (32, 64)
    assert predictor.features is not None
    assert predictor.features.shape == (1, 256, 4, 4)
    assert predictor.get_image_embedding() is predictor.features
    assert predictor.transform.target_length == SIDE


def test_resetting_forgets_the_image(predictor: SamPredictor) -> None:
    predictor.reset_image()
    assert not predictor.is_image_set
    assert predictor.features is None
    assert predictor.original_size is None
    assert predictor.input_size is None


def test_bgr_is_rgb_backwards(
    predictor: SamPredictor, sam: Sam, pixels: NDArray[np.uint8]
) -> None:
    other = SamPredictor(sam)
    other.set_image(pixels[..., ::-1], image_format="BGR")
    torch.testing.assert_close(
        other.get_image_embedding(), predictor.get_image_embedding()
    )
    other.set_image(pixels[..., ::-1])
    assert not torch.allclose(
        other.get_image_embedding(), predictor.get_image_embedding()
    )


def test_a_resized_tensor_is_embedded_as_the_image_is(
    predictor: SamPredictor, sam: Sam, pixels: NDArray[np.uint8]
) -> None:
    other = SamPredictor(sam)
    resized = torch.from_numpy(other.transform.apply_image(pixels))
    other.set_torch_image(resized.permute(2, 0, 1)[None], SHAPE)
    torch.testing.assert_close(
        other.get_image_embedding(), predictor.get_image_embedding()
    )
    assert (other.original_size, other.input_size) == (SHAPE, (32, 64))


@pytest.mark.parametrize(("multimask", "count"), [(True, 3), (False, 1)])
def test_predict_returns_their_shapes_and_dtypes(
    predictor: SamPredictor, multimask: bool, count: int
) -> None:
    masks, scores, low_res = predictor.predict(POINT, ON, multimask_output=multimask)
    assert (masks.shape, masks.dtype) == ((count, *SHAPE), np.bool_)
    assert (scores.shape, scores.dtype) == ((count,), np.float32)
    assert (low_res.shape, low_res.dtype) == ((count, 16, 16), np.float32)


def test_multimask_is_the_default(predictor: SamPredictor) -> None:
    assert len(predictor.predict(POINT, ON)[0]) == 3


def test_logits_are_what_the_masks_are_cut_from(predictor: SamPredictor) -> None:
    masks, _, _ = predictor.predict(POINT, ON)
    logits, _, _ = predictor.predict(POINT, ON, return_logits=True)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits > 0, masks)


def test_low_resolution_logits_can_be_given_back(predictor: SamPredictor) -> None:
    first, _, low_res = predictor.predict(
        POINT, ON, multimask_output=False, return_logits=True
    )
    again, _, _ = predictor.predict(
        POINT, ON, mask_input=low_res, multimask_output=False, return_logits=True
    )
    only, _, _ = predictor.predict(
        mask_input=low_res, multimask_output=False, return_logits=True
    )
    assert not np.allclose(first, again, atol=1e-6)
    assert not np.allclose(only, again, atol=1e-6)


def test_a_box_may_have_one_axis_or_two(predictor: SamPredictor) -> None:
    flat = predictor.predict(box=BOX, return_logits=True)[0]
    row = predictor.predict(box=BOX[None], return_logits=True)[0]
    np.testing.assert_array_equal(flat, row)
    assert not np.allclose(flat, predictor.predict(POINT, ON, return_logits=True)[0])


def test_whole_numbers_and_fractions_are_the_same_points(
    predictor: SamPredictor,
) -> None:
    whole = predictor.predict(POINT, ON, BOX, return_logits=True)[0]
    real = predictor.predict(
        POINT.astype(float), ON, BOX.astype(np.float32), return_logits=True
    )[0]
    np.testing.assert_array_equal(whole, real)


def test_a_batch_of_boxes_is_answered_as_one_by_one(predictor: SamPredictor) -> None:
    boxes = torch.tensor([[5.0, 6, 50, 30], [0, 0, 20, 20], [30, 5, 79, 39]])
    scaled = predictor.transform.apply_boxes_torch(boxes, SHAPE)
    masks, scores, low_res = predictor.predict_torch(
        None, None, scaled, multimask_output=False, return_logits=True
    )
    assert masks.shape == (3, 1, *SHAPE)
    assert scores.shape == (3, 1)
    assert low_res.shape == (3, 1, 16, 16)
    for box, batched in zip(boxes.numpy(), masks, strict=True):
        single, _, _ = predictor.predict(
            box=box, multimask_output=False, return_logits=True
        )
        np.testing.assert_allclose(batched.numpy(), single, atol=1e-4)


def test_a_batch_of_points_is_bool_unless_logits_are_wanted(
    predictor: SamPredictor,
) -> None:
    points = torch.tensor([[[3.0, 4.0]], [[30.0, 20.0]]])
    masks, scores, low_res = predictor.predict_torch(points, torch.ones(2, 1))
    assert (masks.shape, masks.dtype) == ((2, 3, *SHAPE), torch.bool)
    assert scores.dtype == low_res.dtype == torch.float32
    assert not low_res.requires_grad


def test_prompts_and_images_are_scaled_alike() -> None:
    transform = ResizeLongestSide(SIDE)
    np.testing.assert_allclose(
        transform.apply_coords(np.array([[40, 10]]), SHAPE), [[32, 8]]
    )
    np.testing.assert_allclose(
        transform.apply_boxes(np.array([[0, 5, 80, 40]]), SHAPE), [[0, 4, 64, 32]]
    )
    torch.testing.assert_close(
        transform.apply_coords_torch(torch.tensor([[40, 10]]), SHAPE),
        torch.tensor([[32.0, 8.0]]),
    )
    torch.testing.assert_close(
        transform.apply_boxes_torch(torch.tensor([[0, 5, 80, 40]]), SHAPE),
        torch.tensor([[0.0, 4.0, 64.0, 32.0]]),
    )
    tensor = transform.apply_image_torch(torch.rand(2, 3, *SHAPE))
    assert tensor.shape == (2, 3, 32, 64)
    image = np.zeros((*SHAPE, 3), dtype=np.uint8)
    assert transform.apply_image(image).shape == (32, 64, 3)


def test_scaling_leaves_what_was_given_as_it_is() -> None:
    coords = np.array([[40.0, 10.0]])
    ResizeLongestSide(SIDE).apply_coords(coords, SHAPE)
    np.testing.assert_array_equal(coords, [[40, 10]])


@pytest.mark.parametrize("method", ["predict", "predict_torch", "get_image_embedding"])
def test_without_an_image_it_says_to_set_one(sam: Sam, method: str) -> None:
    predictor = SamPredictor(sam)
    arguments = (None, None) if method == "predict_torch" else ()
    with pytest.raises(PredictorError, match="set_image"):
        getattr(predictor, method)(*arguments)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), dtype=np.uint8),
        np.zeros((8, 8, 4), dtype=np.uint8),
        np.zeros((8, 8, 3), dtype=np.float32),
        np.zeros((0, 8, 3), dtype=np.uint8),
    ],
)
def test_an_image_that_is_no_rgb_says_what_to_do(
    predictor: SamPredictor, image: NDArray
) -> None:
    with pytest.raises(PredictorError, match=r"uint8 .*Stretch intensities"):
        predictor.set_image(image)
    assert predictor.is_image_set


def test_an_unknown_colour_order_is_refused(predictor: SamPredictor) -> None:
    with pytest.raises(PredictorError, match="'RGB' or 'BGR', got 'GRB'"):
        predictor.set_image(np.zeros((8, 8, 3), dtype=np.uint8), "GRB")


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 32, 32), (1, 1, 64, 64)])
def test_a_tensor_of_another_size_says_how_to_resize(
    predictor: SamPredictor, shape: tuple[int, ...]
) -> None:
    with pytest.raises(PredictorError, match=r"longest side of 64.*apply_image"):
        predictor.set_torch_image(torch.zeros(shape), SHAPE)


def test_points_without_labels_are_refused(predictor: SamPredictor) -> None:
    with pytest.raises(PromptError, match="need point_labels"):
        predictor.predict(POINT)
    with pytest.raises(PromptError, match="need point_labels"):
        predictor.predict_torch(torch.zeros(1, 1, 2), None)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"point_coords": POINT[0], "point_labels": ON}, r"shape \(n, 2\)"),
        ({"point_coords": POINT, "point_labels": [1, 0]}, r"point_labels .*\(b, 1\)"),
        ({"point_coords": [[np.nan, 1]], "point_labels": [1]}, "finite"),
        ({"box": [1, 2, 3]}, "x0, y0, x1, y1"),
        ({"box": np.zeros((2, 4))}, "use predict_torch"),
        ({"mask_input": np.zeros((1, 8, 8))}, r"mask_input .*\(b, 1, 16, 16\)"),
        ({"mask_input": np.zeros((16, 16))}, r"mask_input .*\(b, 1, 16, 16\)"),
    ],
)
def test_a_prompt_of_the_wrong_shape_says_which_is_needed(
    predictor: SamPredictor, arguments: dict, complaint: str
) -> None:
    with pytest.raises(PromptError, match=complaint):
        predictor.predict(**arguments)


def test_one_mask_goes_along_with_every_box_of_a_batch(
    predictor: SamPredictor,
) -> None:
    boxes = torch.tensor([[5.0, 6, 50, 30], [1, 2, 20, 30]])
    one = torch.randn(1, 1, 16, 16)
    _, _, together = predictor.predict_torch(None, None, boxes, one)
    _, _, each = predictor.predict_torch(None, None, boxes, one.repeat(2, 1, 1, 1))
    assert torch.equal(together, each)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(PredictorError, match=r"load_model.*got str"):
        SamPredictor("vit_b")  # type: ignore[arg-type]


def test_batches_of_different_lengths_are_refused(predictor: SamPredictor) -> None:
    with pytest.raises(PromptError, match="one b for all"):
        predictor.predict_torch(
            torch.zeros(2, 1, 2), torch.ones(2, 1), torch.ones(3, 4)
        )
