from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_sam.cli import main


def draw(folder: Path) -> None:
    rows, columns = np.mgrid[:160, :160]
    labels = np.zeros((160, 160), dtype=np.uint16)
    labels[np.hypot(rows - 80, columns - 70) <= 20] = 3
    pixels = np.where(labels > 0, 180, 20).astype(np.uint8)
    for kind, array in (("images", pixels), ("labels", labels)):
        (folder / kind).mkdir(parents=True)
        Image.fromarray(array).save(folder / kind / "one.png")


@pytest.mark.slow
def test_evaluate_writes_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "set")
    arguments = ["evaluate", str(tmp_path / "set"), "--clicks", "2"]
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--output", str(tmp_path / "report")])
    assert left.value.code == 0
    assert "report.md" in capsys.readouterr().out
    assert (tmp_path / "report" / "objects.csv").read_text().count("\n") == 2


def test_evaluate_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["evaluate", str(tmp_path), "--output", str(tmp_path / "report")])
    assert left.value.code == 1
    assert "images/ and labels/" in " ".join(capsys.readouterr().err.split())
