"""A comparison as files: compare.json, objects.csv and compare.md."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.evaluation.compare import SAM_SHARES, Comparison, shown
from napari_sam.evaluation.matching import NOBODY
from napari_sam.evaluation.mistakes import Group, Verdict

COLUMNS = (
    "reference_id",
    "area",
    "verdict",
    "iou",
    "overlap",
    "partner_id",
    "partner_area",
    "is_merged",
    "is_split",
)
"""Of objects.csv; overlap and partner are empty for objects that meet none."""

ROWS_AT_ONCE = 65536
LISTED = 20
"""Objects that the lists of compare.md show; compare.json has all."""


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write the three files, over those of an earlier comparison; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers, objects, text = (
        folder / name for name in ("compare.json", "objects.csv", "compare.md")
    )
    numbers.write_text(json.dumps(comparison_facts(comparison), indent=1) + "\n")
    with objects.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(object_rows(comparison))
    text.write_text("\n".join(markdown_lines(comparison)) + "\n", encoding="utf-8")
    return numbers, objects, text


def comparison_facts(comparison: Comparison) -> dict[str, Any]:
    """All measures and lists as JSON has them; null stands for 0 / 0."""
    mistakes = comparison.mistakes
    return {
        "tested": comparison.tested_name,
        "reference": comparison.reference_name,
        "shape": list(comparison.shape),
        "objects": {
            "tested": len(comparison.meetings.tested),
            "reference": len(comparison.meetings.reference),
        },
        "thresholds": [asdict(score) for score in comparison.thresholds],
        "msa": comparison.msa,
        "panoptic": asdict(comparison.panoptic),
        "matched_iou": comparison.panoptic.sq,
        "best_iou": {
            "tested": comparison.tested_best_iou,
            "reference": comparison.reference_best_iou,
        },
        "shares_above": [
            {**asdict(share), "sam_paper": SAM_SHARES[share.iou]}
            for share in comparison.shares
        ],
        "verdicts": verdict_counts(comparison),
        "merged": [
            {"tested": group.one, "reference": list(group.several)}
            for group in mistakes.merged
        ],
        "split": [
            {"reference": group.one, "tested": list(group.several)}
            for group in mistakes.split
        ],
        "missed": mistakes.missed.tolist(),
        "extra": mistakes.extra.tolist(),
    }


def verdict_counts(comparison: Comparison) -> dict[str, int]:
    """How many reference objects have each verdict."""
    counts = Counter(comparison.mistakes.verdicts.tolist())
    return {verdict.value: counts[verdict.value] for verdict in Verdict}


def object_rows(comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    """A row of objects.csv for each reference object, by ascending id."""
    tested, reference = comparison.meetings.tested, comparison.meetings.reference
    partners, mistakes = comparison.reference_partners, comparison.mistakes
    for start in range(0, len(reference), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        positions = partners.positions[rows]
        is_alone = positions == NOBODY
        found = [
            _blank_where(is_alone, column)
            for column in (
                partners.overlaps[rows],
                tested.ids[positions] if len(tested) else positions,
                tested.areas[positions] if len(tested) else positions,
            )
        ]
        yield from zip(
            reference.ids[rows].tolist(),
            reference.areas[rows].tolist(),
            mistakes.verdicts[rows].tolist(),
            np.round(partners.ious[rows], 6).tolist(),
            *found,
            mistakes.is_merged[rows].astype(int).tolist(),
            mistakes.is_split[rows].astype(int).tolist(),
            strict=True,
        )


def _blank_where(is_blank: NDArray[np.bool_], column: NDArray[Any]) -> list[Any]:
    """Numbers as Python's own, and "" where there is none."""
    cells = column.astype(object)
    cells[is_blank] = ""
    listed: list[Any] = cells.tolist()
    return listed


def markdown_lines(comparison: Comparison) -> Iterator[str]:
    """The comparison for people, as Markdown."""
    yield "# Comparison of two label volumes"
    yield ""
    yield f"- tested: `{comparison.tested_name}`"
    yield f"- reference: `{comparison.reference_name}`"
    yield f"- shape: {' x '.join(map(str, comparison.shape))}"
    for table in report_tables(comparison):
        yield from ("", f"## {table.title}", "")
        yield f"| {' | '.join(table.header)} |"
        yield f"|{'---|' * len(table.header)}"
        for row in table.rows:
            yield f"| {' | '.join(row)} |"
    mistakes = comparison.mistakes
    yield from _listed("Merged", [_joined(group) for group in mistakes.merged])
    yield from _listed("Split", [_joined(group) for group in mistakes.split])
    yield from _listed("Missed", mistakes.missed.tolist())
    yield from _listed("Extra", mistakes.extra.tolist())


@dataclass(frozen=True, slots=True)
class ReportTable:
    """Text in rows and columns; the first column names what the row is about."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def report_tables(comparison: Comparison) -> tuple[ReportTable, ...]:
    """The measures as tables, for Markdown and for the terminal."""
    mistakes = comparison.mistakes
    objects = {
        "tested": len(comparison.meetings.tested),
        "reference": len(comparison.meetings.reference),
        **verdict_counts(comparison),
    }
    lists = {
        "merged: tested objects that cover several of the reference": mistakes.merged,
        "split: reference objects that cover several tested ones": mistakes.split,
        "missed reference objects": mistakes.missed,
        "extra tested objects": mistakes.extra,
    }
    return (
        ReportTable(
            "Objects, and the verdicts on the reference's",
            ("objects", "count"),
            [(name, str(count)) for name, count in objects.items()],
        ),
        measure_table(comparison),
        share_table(comparison),
        threshold_table(comparison),
        ReportTable(
            "Mistakes (to cover an object is to hold at least half of it)",
            ("mistake", "count"),
            [(name, str(len(entries))) for name, entries in lists.items()],
        ),
    )


def measure_table(comparison: Comparison) -> ReportTable:
    """Single numbers."""
    quality = comparison.panoptic
    measures = {
        "mean segmentation accuracy (mSA)": comparison.msa,
        "panoptic quality (PQ)": quality.pq,
        "segmentation quality (SQ), mean IoU of matches": quality.sq,
        "recognition quality (RQ)": quality.rq,
        "mean best IoU of tested objects": comparison.tested_best_iou,
        "mean best IoU of reference objects": comparison.reference_best_iou,
    }
    rows = [(name, shown(value)) for name, value in measures.items()]
    return ReportTable("Measures", ("measure", "value"), rows)


def share_table(comparison: Comparison) -> ReportTable:
    """Shares of tested objects with good outlines, beside those of the SAM paper."""
    rows = [
        (
            f"{share.iou:.2f}",
            shown(share.of_all),
            shown(share.of_matched),
            shown(SAM_SHARES[share.iou]),
        )
        for share in comparison.shares
    ]
    title = "Share of tested objects above an IoU with their best partner"
    return ReportTable(title, ("IoU >", "of all", "of matched", "SAM paper"), rows)


def threshold_table(comparison: Comparison) -> ReportTable:
    """Counts and scores, a threshold a row."""
    rows = [
        (
            f"{score.iou:.2f}",
            str(score.true_positives),
            str(score.false_positives),
            str(score.false_negatives),
            *map(shown, (score.precision, score.recall, score.f1, score.ap)),
        )
        for score in comparison.thresholds
    ]
    header = ("IoU >", "TP", "FP", "FN", "precision", "recall", "F1", "AP")
    return ReportTable("Matches by threshold", header, rows)


def _joined(group: Group) -> str:
    return f"{group.one}: {', '.join(map(str, group.several))}"


def _listed(title: str, entries: Sequence[object]) -> Iterator[str]:
    """A section with the first entries of a list."""
    if not entries:
        return
    yield from ("", f"## {title}", "")
    yield from (f"- {entry}" for entry in entries[:LISTED])
    if len(entries) > LISTED:
        yield f"- and {len(entries) - LISTED} more, see compare.json"
