"""Points, boxes and masks about the objects of a crop, by kind."""

import numpy as np
import pytest
import torch
from training_scene import CONFIG, disc_arrays, trainer

from napari_sam.model.prompt_encoder import NOT_A_POINT
from napari_sam.prompts import MASK_PROMPT_LOGIT
from napari_sam.training.config import Prompting
from napari_sam.training.crops import Crop
from napari_sam.training.mask_prompts import (
    FORMS,
    MaskForm,
    MaskShape,
    distorted,
    draw_mask_prompts,
    scribbled,
)
from napari_sam.training.prompting import Lesson
from napari_sam.training.simulated_prompts import (
    NEIGHBOURS,
    CropPrompts,
    draw_prompts,
)

POINT_BOX = Prompting(box_share=0.0, point_box_share=1.0, mask_share=0.0)
MASKS = Prompting(box_share=0.0, point_box_share=0.0, mask_share=1.0)
CHOSEN = np.array([1, 5, 9], dtype=np.int32)


def labels(side: int = 92) -> np.ndarray:
    return disc_arrays(side)[1].astype(np.int32)


def drawn(prompting: Prompting, count: int) -> list[CropPrompts]:
    return [
        draw_prompts(labels(), CHOSEN, prompting, np.random.default_rng(seed))
        for seed in range(count)
    ]


def test_neighbours_are_clicked_as_not_wanted() -> None:
    forms = set()
    for prompts in drawn(POINT_BOX, 10):
        forms.add(prompts.form)
        for n, number in enumerate(CHOSEN):
            points = prompts.points_nk2[n].astype(int)
            clicked = labels()[points[:, 1], points[:, 0]]
            answers = prompts.labels_nk[n]
            assert (clicked[answers == 1] == number).all()
            off = clicked[answers == 0]
            assert 0 not in off
            assert number not in off
            assert len(set(off)) == len(off)
    assert forms == {(1, True, False), (1 + NEIGHBOURS, True, False)}


def test_too_few_neighbours_are_filled_up_with_no_points() -> None:
    lone = labels() * (labels() == 5)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        prompts = draw_prompts(lone, CHOSEN[1:2], POINT_BOX, rng)
        assert (prompts.labels_nk[:, 1:] == NOT_A_POINT).all()


def test_a_mask_prompt_has_a_quarter_of_the_size_and_the_logits_of_use() -> None:
    mask = draw_mask_prompts(
        labels(), 5, MaskForm(0, 0, False, (MaskShape.TRUE,)), np.random.default_rng(0)
    )
    assert mask.logits.shape == (23, 23)
    assert mask.logits.min() == -MASK_PROMPT_LOGIT
    assert mask.logits.max() == MASK_PROMPT_LOGIT
    np.testing.assert_array_equal(mask.wanted, labels() == 5)


def test_a_distorted_mask_still_is_about_its_object() -> None:
    mask = labels() == 5
    areas = []
    for seed in range(20):
        changed = distorted(mask, np.random.default_rng(seed))
        assert (changed & mask).sum() > 0.4 * mask.sum()
        areas.append(changed.sum() / mask.sum())
    assert min(areas) < 0.85
    assert max(areas) > 1.15


def test_a_scribble_is_a_thin_part_of_its_object() -> None:
    mask = labels() == 5
    for seed in range(20):
        line = scribbled(mask, np.random.default_rng(seed))
        assert 0 < line.sum() < 0.7 * mask.sum()
        assert (line & mask).sum() > 0.6 * line.sum()


@pytest.mark.parametrize("off", [0, 1])
def test_two_merged_objects_are_both_wanted_unless_a_click_says_no(off: int) -> None:
    form = MaskForm(0, off, False, (MaskShape.MERGED,))
    mask = draw_mask_prompts(labels(), 5, form, np.random.default_rng(0))
    merged = set(np.unique(labels()[mask.shown])) - {0}
    assert len(merged) == 2
    assert 5 in merged
    wanted = set(np.unique(labels()[mask.wanted])) - {0}
    assert wanted == ({5} if off else merged)
    assert mask.outside is not None
    assert set(np.unique(labels()[mask.outside])) == merged - {5}


def test_an_object_without_neighbours_is_merged_with_what_is_around_it() -> None:
    form = MaskForm(0, 1, False, (MaskShape.MERGED,))
    lone = labels() * (labels() == 5)
    mask = draw_mask_prompts(lone, 5, form, np.random.default_rng(0))
    assert mask.shown.sum() > mask.wanted.sum() == (lone == 5).sum()


def test_every_form_of_mask_prompts_comes_up_and_its_points_are_right() -> None:
    forms = set()
    for prompts in drawn(MASKS, 60):
        forms.add(prompts.form)
        for mask, points, answers in zip(
            prompts.masks_nhw, prompts.points_nk2, prompts.labels_nk, strict=True
        ):
            x, y = points.astype(int).T
            assert mask[y, x][answers == 1].all()
            assert not mask[y, x][answers == 0].any()
    wanted = {(form.on + form.off, form.box, True) for form in FORMS}
    assert forms == wanted


@pytest.mark.usefixtures("small_network")
@pytest.mark.parametrize("seed", range(6))
def test_the_network_answers_prompts_of_every_form(seed: int) -> None:
    sam = trainer(CONFIG).task.sam
    ids = labels(64)[:64, :64]
    chosen = np.array([1, 2], dtype=np.int32)
    prompts = draw_prompts(ids, chosen, MASKS, np.random.default_rng(seed))
    crop = Crop(np.zeros((3, 64, 64), np.uint8), ids, prompts)
    lesson = Lesson(sam, torch.zeros(1, 32, 4, 4), [crop], [(0, 0)], stride=2)
    loss, shown = lesson.loss(1, np.random.default_rng(0))
    assert loss.isfinite()
    assert shown.shape == (2,)
