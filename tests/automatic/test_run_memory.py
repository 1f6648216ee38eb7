"""What a run keeps in memory does not grow with the image."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("resource", reason="Windows does not tell a process's peak memory")


def objects_and_peak_kb(side: int, folder: Path) -> tuple[int, int]:
    answer = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("run_memory.py")),
            str(side),
            str(folder),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    objects, peak_kb = answer.stdout.split()
    return int(objects), int(peak_kb)


def test_sixteen_times_the_pixels_take_at_most_a_tenth_more_memory(
    tmp_path: Path,
) -> None:
    few, small = objects_and_peak_kb(5000, tmp_path)
    many, large = objects_and_peak_kb(20000, tmp_path)
    assert many > 15 * few > 0
    assert large <= 1.1 * small
