"""A whole comparison, its report, and real labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.evaluation.compare import compare_labels
from napari_sam.evaluation.compare_report import LISTED, write_comparison
from napari_sam.evaluation.mistakes import Group

DATA = Path(__file__).parents[3] / "shared" / "data"


def scene() -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """A match of IoU 0.8, a merge of 2 and 3, a split of 4, 5 missed, 30 extra."""
    tested, reference = np.zeros((2, 20, 40), dtype=np.uint16)
    reference[0:10, 0:10], tested[0:8, 0:10] = 1, 10
    reference[0:10, 12:20], reference[0:10, 20:28], tested[0:10, 12:28] = 2, 3, 20
    reference[12:20, 0:10], tested[12:20, 0:5], tested[12:20, 5:10] = 4, 40, 41
    reference[12:20, 20:24], tested[12:20, 30:36] = 5, 30
    return tested, reference


def eroded(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Labels without the voxels that have another label, or none, beside them."""
    same = ndimage.minimum_filter(labels, 3) == ndimage.maximum_filter(labels, 3)
    return np.where(same, labels, 0)


def test_a_scene_with_one_of_each_mistake() -> None:
    found = compare_labels(*scene())
    assert [score.true_positives for score in found.thresholds] == [1] * 6 + [0] * 4
    ap = 1 / (5 + 5 - 1)
    assert found.msa == pytest.approx(6 * ap / 10)
    assert found.panoptic.pq == pytest.approx(0.8 / 5)
    assert found.mistakes.verdicts.tolist() == [
        "matched",
        "merged",
        "merged",
        "split",
        "missed",
    ]
    assert found.mistakes.extra.tolist() == [30]
    assert [(s.of_all, s.of_matched) for s in found.shares] == [(1 / 5, 1), (0, 0)]
    assert found.tested_best_iou == pytest.approx((0.8 + 0.5 * 3) / 5)
    assert found.reference_best_iou == pytest.approx((0.8 + 0.5 * 3) / 5)


def test_the_first_volume_is_the_tested_one() -> None:
    tested, reference = scene()
    reference[reference == 5] = 0
    score, swapped = (
        compare_labels(*pair).thresholds[0]
        for pair in ((tested, reference), (reference, tested))
    )
    assert (score.false_positives, score.false_negatives) == (4, 3)
    assert (swapped.false_positives, swapped.false_negatives) == (3, 4)


def test_shares_of_the_matched_count_all_matches() -> None:
    tested = np.array([[1] * 9 + [0] + [2] * 11 + [0] * 9 + [3]])
    reference = np.array([[1] * 10 + [2] * 20 + [0]])
    found = compare_labels(tested, reference)  # IoU 0.9, 0.55 and none
    assert [(s.of_all, s.of_matched) for s in found.shares] == [(1 / 3, 1 / 2), (0, 0)]


def test_labels_agree_with_themselves_under_other_ids() -> None:
    _, reference = scene()
    found = compare_labels(np.where(reference, 100 - reference, 0), reference)
    assert (found.msa, found.panoptic.pq, found.tested_best_iou) == (1, 1, 1)
    assert [(s.of_all, s.of_matched) for s in found.shares] == [(1, 1), (1, 1)]
    assert not found.mistakes.merged + found.mistakes.split


def test_an_object_of_a_stack_is_one_object_over_all_planes() -> None:
    reference = np.zeros((4, 8, 8), dtype=np.uint8)
    reference[:, 2:6, 2:6] = 1
    by_plane = reference * np.arange(1, 5, dtype=np.uint8)[:, None, None]
    found = compare_labels(by_plane, reference)
    assert len(found.meetings.tested) == 4
    assert found.mistakes.split[0].several == (1, 2, 3, 4)
    assert compare_labels(reference, reference).thresholds[0].true_positives == 1


def test_progress_counts_blocks() -> None:
    told: list[tuple[int, int]] = []
    tested, reference = scene()
    compare_labels(
        tested,
        reference,
        block_shape=(20, 10),
        on_block=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_report_has_measures_lists_and_a_row_for_each_object(
    tmp_path: Path,
) -> None:
    numbers, objects, text = write_comparison(compare_labels(*scene()), tmp_path / "r")
    facts = json.loads(numbers.read_text())
    assert facts["objects"] == {"tested": 5, "reference": 5}
    assert facts["thresholds"][0]["true_positives"] == 1
    assert [share["sam_paper"] for share in facts["shares_above"]] == [0.97, 0.94]
    assert facts["merged"] == [{"tested": 20, "reference": [2, 3]}]
    assert facts["split"] == [{"reference": 4, "tested": [40, 41]}]
    assert (facts["missed"], facts["extra"]) == ([5], [30])
    with objects.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "reference_id": "1",
        "area": "100",
        "verdict": "matched",
        "iou": "0.8",
        "overlap": "80",
        "partner_id": "10",
        "partner_area": "80",
        "is_merged": "0",
        "is_split": "0",
    }
    missed = rows[4]
    assert (missed["verdict"], missed["iou"], missed["partner_id"]) == (
        "missed",
        "0.0",
        "",
    )
    assert "| 0.50 | 1 | 4 | 4 | 0.200 | 0.200 | 0.200 | 0.111 |" in text.read_text()
    assert "- 20: 2, 3" in text.read_text()


def test_large_ids_come_through_to_the_report(tmp_path: Path) -> None:
    reference = np.array([[2**63 + 1, 2**63 + 1, 2**53 + 1]], dtype=np.uint64)
    tested = np.where(reference > 2**60, reference + np.uint64(1), np.uint64(0))
    numbers, objects, _ = write_comparison(compare_labels(tested, reference), tmp_path)
    assert json.loads(numbers.read_text())["missed"] == [2**53 + 1]
    with objects.open(newline="") as file:
        rows = {row["reference_id"]: row for row in csv.DictReader(file)}
    assert rows[str(2**63 + 1)]["partner_id"] == str(2**63 + 2)


def test_volumes_without_objects_make_a_report_of_nothing(tmp_path: Path) -> None:
    empty = np.zeros((8, 8), dtype=np.uint8)
    numbers, objects, text = write_comparison(compare_labels(empty, empty), tmp_path)
    facts = json.loads(numbers.read_text())
    assert facts["msa"] is facts["panoptic"]["pq"] is facts["best_iou"]["tested"]
    assert facts["msa"] is None
    assert len(objects.read_text().splitlines()) == 1
    assert "| panoptic quality (PQ) | - |" in text.read_text()


def test_one_sided_emptiness_makes_a_report_too(tmp_path: Path) -> None:
    _, reference = scene()
    empty = np.zeros_like(reference)
    for pair, missed, extra in (
        ((empty, reference), 5, 0),
        ((reference, empty), 0, 5),
    ):
        numbers, objects, _ = write_comparison(compare_labels(*pair), tmp_path)
        facts = json.loads(numbers.read_text())
        assert (len(facts["missed"]), len(facts["extra"])) == (missed, extra)
        assert len(objects.read_text().splitlines()) == 1 + missed


def test_long_lists_are_cut_in_the_text_and_nowhere_else(tmp_path: Path) -> None:
    many = np.arange(1, LISTED + 6).reshape(1, -1)
    numbers, _, text = write_comparison(
        compare_labels(np.zeros_like(many), many), tmp_path
    )
    assert len(json.loads(numbers.read_text())["missed"]) == LISTED + 5
    assert "- and 5 more, see compare.json" in text.read_text()


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
def test_real_nuclei_that_were_eroded_and_merged_are_told_apart() -> None:
    path = DATA / "volume_nuclei" / "labels" / "plantseg_ovule_nuclei_1135.tif"
    reference = tifffile.imread(path)
    tested = eroded(reference)
    before = np.bincount(reference.ravel())
    after = np.bincount(tested.ravel(), minlength=len(before))
    tested[tested == 31] = 29  # they touch, and erosion leaves more than half of both
    found = compare_labels(tested, path)
    assert found.mistakes.merged == (Group(29, (29, 31)),)
    assert found.mistakes.missed.tolist() == [
        one for one in range(1, len(before)) if 0 < before[one] > 2 * after[one]
    ]
    ids = found.meetings.reference.ids
    alone = (ids != 29) & (ids != 31)
    np.testing.assert_allclose(
        found.reference_partners.ious[alone], (after[ids] / before[ids])[alone]
    )


@pytest.mark.skipif(not DATA.is_dir(), reason="needs shared/data")
def test_a_real_mosaic_agrees_with_itself() -> None:
    path = DATA / "large_mosaic" / "labels" / "dsb_mosaic_4160x4176.png"
    found = compare_labels(path, path)
    assert len(found.meetings.tested) == 4172
    assert (found.msa, found.panoptic.pq) == (1, 1)
