"""The state as the canvas in the browser reads it: plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_sam.annotator import AnnotatorState
from napari_sam.geometry import Box
from napari_sam.predictor import Candidate
from napari_sam.prompts import BoxPrompt, Click, Prompt

SAVING = "Undo or redo: saving... Escape stops it."


def state_to_json(state: AnnotatorState, versions: Mapping[str, int]) -> dict[str, Any]:
    """What a canvas draws, besides tiles.

    Parameters
    ----------
    state
        Of the annotator.
    versions
        What views compare their tiles with.
    """
    notice = SAVING if state.is_saving else state.notice or state.job.text
    prompts = enumerate(state.prompts)
    return {
        "plane": list(state.plane),
        "promptPlane": list(state.prompt_plane),
        "prompts": [_prompt(p, is_met=i not in state.unmet) for i, p in prompts],
        "scores": [round(float(c.score), 3) for c in state.candidates],
        "chosen": state.chosen,
        "candidateBox": _box_of(state.candidate),
        "previewBox": _box_of(state.preview),
        "target": state.target,
        "pending": state.is_pending,
        "canUndo": state.can_undo,
        "canRedo": state.can_redo,
        "objects": len(state.objects),
        "versions": dict(versions),
        "notice": notice,
        "error": state.error,
    }


def _prompt(prompt: Prompt, *, is_met: bool) -> dict[str, Any]:
    if isinstance(prompt, Click):
        return {
            "kind": "click",
            "y": float(prompt.y),
            "x": float(prompt.x),
            "positive": prompt.positive,
            "met": is_met,
        }
    if isinstance(prompt, BoxPrompt):
        sides = [float(s) for s in (prompt.y0, prompt.x0, prompt.y1, prompt.x1)]
        return {"kind": "box", "box": sides, "met": is_met}
    return {"kind": "mask", "box": _sides(prompt.box), "met": is_met}


def _box_of(candidate: Candidate | None) -> list[int] | None:
    return None if candidate is None else _sides(candidate.box)


def _sides(box: Box) -> list[int]:
    return [int(side) for side in (box.y0, box.x0, box.y1, box.x1)]
