"""The embedded default: in the package, with its facts, and worth a first click."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread
from skimage.measure import regionprops

from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.masks import deepest_point
from napari_sam.model.checkpoints import load_model
from napari_sam.model.sam import Sam
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompts import Click

FLUO = Path(__file__).parents[3] / "shared" / "data" / "dsb2018_fluo"


@pytest.fixture(scope="module")
def default() -> Sam:
    return load_model("default", device="cpu")


def test_it_says_what_it_is_and_where_it_comes_from(default: Sam) -> None:
    metadata = default.metadata.file_metadata
    assert (default.window_size, default.image_encoder.img_size) == (256, 512)
    assert default.window_sizes == (128, 256, 512)
    assert metadata["training_data"].startswith("dsb2018_train")
    assert "dsb2018_fluo" not in metadata["training_data"]
    assert json.loads(metadata["training"])["steps"] > 4000


def test_what_was_measured_is_kept_with_the_weights(default: Sam) -> None:
    measured = json.loads(default.metadata.file_metadata["evaluation"])["dsb2018_fluo"]
    assert (measured["images"], measured["objects"]) == (59, 3139)
    assert measured["clicks"][0] >= 0.70


def test_it_finds_instances_and_says_at_which_size(default: Sam) -> None:
    assert default.finds_instances
    assert default.instance_share == pytest.approx(30 / 512, rel=0.01)
    made = json.loads(default.metadata.file_metadata["instances_training"])
    assert made["task"] == "instances"


@pytest.mark.slow
@pytest.mark.skipif(not FLUO.is_dir(), reason=f"no annotated images in {FLUO}")
def test_one_click_finds_most_of_a_nucleus_on_images_it_never_saw(default: Sam) -> None:
    ious = []
    for path in sorted((FLUO / "images").iterdir())[:40:10]:
        labels = imread(FLUO / "labels" / path.name)
        predictor = ImagePredictor(default, open_image(path))
        for region in regionprops(labels)[:12]:
            box = Box(*region.bbox)
            row, column = deepest_point(region.image)
            best = predictor.predict([Click(box.y0 + row, box.x0 + column)])[0]
            drawn = np.zeros(labels.shape, dtype=bool)
            drawn[best.box.slices] = best.mask
            wanted = labels == region.label
            ious.append((drawn & wanted).sum() / (drawn | wanted).sum())
    assert np.mean(ious) >= 0.65
