"""Compare two label volumes of the same image: how good is one, by the other.

The first volume is tested, the second is the reference: an object that only the first
has is a false positive. Both are read once, block by block, and all measures are
exact whatever their size; see `overlaps` for what is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_sam.evaluation.label_blocks import LabelPair, Shape
from napari_sam.evaluation.matching import (
    Meetings,
    PanopticQuality,
    Partners,
    ThresholdScore,
    mean,
    panoptic_quality,
    score_thresholds,
)
from napari_sam.evaluation.mistakes import Mistakes, find_mistakes
from napari_sam.evaluation.overlaps import count_overlaps

SAM_SHARES = {0.75: 0.97, 0.90: 0.94}
"""By IoU: share of SAM's automatic masks above it, against masks that professional
annotators corrected (Kirillov et al. 2023, section 5, "Mask quality")."""


@dataclass(frozen=True, slots=True)
class QualityShare:
    """Share of tested objects whose best partner is above an IoU; None of nothing."""

    iou: float
    of_all: float | None
    of_matched: float | None  # of those with IoU > 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All that was found out about two label volumes."""

    tested_name: str
    reference_name: str
    shape: Shape
    meetings: Meetings
    tested_partners: Partners  # the reference's best for each tested object
    reference_partners: Partners  # the tested best for each reference object
    thresholds: tuple[ThresholdScore, ...]  # IoU 0.50, 0.55 ... 0.95
    panoptic: PanopticQuality  # its `sq` is the mean IoU of the matches
    shares: tuple[QualityShare, ...]  # above 0.75 and 0.90
    mistakes: Mistakes

    @property
    def headline(self) -> str:
        """The two measures that sum it up."""
        return f"mSA {shown(self.msa)}, PQ {shown(self.panoptic.pq)}"

    @property
    def msa(self) -> float | None:
        """Mean segmentation accuracy: the mean of AP over the thresholds."""
        scores = [score.ap for score in self.thresholds if score.ap is not None]
        return mean(np.array(scores))

    @property
    def tested_best_iou(self) -> float | None:
        """Mean IoU of the tested objects with their best partners, 0 without one."""
        return mean(self.tested_partners.ious)

    @property
    def reference_best_iou(self) -> float | None:
        """Mean IoU of the reference objects with their best partners."""
        return mean(self.reference_partners.ious)


def compare_labels(
    tested: object,
    reference: object,
    *,
    block_shape: Sequence[int] | None = None,
    on_block: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare label volumes, block by block; an object of a stack is a 3D object.

    Parameters
    ----------
    tested, reference
        Label volumes of the same shape, as `LabelPair` takes them; 0 is background.
    block_shape
        Pixels that are read at once along each axis; None: by the volumes' chunks.
        Results do not depend on it.
    on_block
        Called after each block with how many are done, and how many there are.

    Returns
    -------
    Comparison
        All measures, and lists of what went wrong.

    Raises
    ------
    ImageError, LabelError
        For what cannot be opened, or not compared.
    ImageReadError
        For pixels that cannot be read.
    """
    with LabelPair(tested, reference) as pair:
        table = count_overlaps(pair.blocks(block_shape), on_block)
    meetings = Meetings.of(table)
    tested_partners = meetings.best_partners()
    return Comparison(
        pair.tested.name,
        pair.reference.name,
        pair.shape,
        meetings,
        tested_partners,
        meetings.swapped().best_partners(),
        score_thresholds(meetings),
        panoptic_quality(meetings),
        tuple(share_above(tested_partners, iou) for iou in SAM_SHARES),
        find_mistakes(meetings),
    )


def share_above(partners: Partners, iou: float) -> QualityShare:
    """How many tested objects have a partner with more than `iou`, in twentieths."""
    is_above = partners.above(round(iou * 20))
    return QualityShare(iou, mean(is_above), mean(is_above[partners.above(10)]))


def shown(value: float | None) -> str:
    """A measure with three decimals; a dash for 0 / 0."""
    return "-" if value is None else f"{value:.3f}"
