"""Learning curves are drawn from what runs have logged."""

import json
from pathlib import Path

import pytest
from PIL import Image

from napari_sam.errors import TrainingError
from napari_sam.training.curve import draw_curves


def logged(path: Path, *entries: dict[str, float]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_every_value_has_a_panel_and_every_run_a_line(tmp_path: Path) -> None:
    long = logged(
        tmp_path / "long.jsonl",
        {"step": 20, "minutes": 1, "loss": 2.0},
        {"step": 40, "minutes": 2, "loss": 1.5, "click_iou": 0.4},
    )
    short = logged(tmp_path / "short.jsonl", {"step": 20, "minutes": 1, "loss": 2.5})
    picture = tmp_path / "curves.png"
    drawn = draw_curves({"long": long, "short": short}, picture)
    assert drawn == ["loss", "click_iou"]
    with Image.open(picture) as opened:
        one_panel = draw_curves({"short": short}, tmp_path / "one.png")
        with Image.open(tmp_path / "one.png") as single:
            assert opened.width == 2 * single.width
    assert one_panel == ["loss"]


@pytest.mark.parametrize("text", ["no json", "[1, 2]", '{"loss": 1.0}'])
def test_what_is_no_log_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(TrainingError, match=r"run\.jsonl needs to be the log"):
        draw_curves({"run": path}, tmp_path / "x.png")


def test_an_empty_log_has_nothing_to_draw(tmp_path: Path) -> None:
    path = logged(tmp_path / "run.jsonl")
    assert draw_curves({"run": path}, tmp_path / "x.png") == []
    assert not (tmp_path / "x.png").exists()
