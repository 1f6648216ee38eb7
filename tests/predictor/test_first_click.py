"""A first click on an image of any size reads, encodes and holds a bounded amount.

The bound on chunks: the range of intensities comes from a sample of at most
SAMPLE_ROUNDS times SAMPLE_CELLS chunks, all of them where everything in it is the
same, as here; and a window of 512 pixels meets at most 2 x 2 chunks of 512 or more.
"""

import json
import subprocess
import sys
from typing import Any

import first_click
import pytest

from napari_sam.images.sampling import SAMPLE_CELLS, SAMPLE_ROUNDS

pytestmark = pytest.mark.slow

WINDOW_CHUNKS = 4
GIB_IN_KIB = 2**20


@pytest.fixture(scope="module", params=[512, 4096])
def costs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What a process of its own counted, with chunks of the given side."""
    folder = tmp_path_factory.mktemp("huge") / "plane.zarr"
    first_click.write_scene(folder, request.param)
    ended = subprocess.run(
        [sys.executable, first_click.__file__, str(folder)],
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_opening_reads_no_chunk(costs: dict[str, Any]) -> None:
    assert costs["opening_chunks"] == 0


def test_the_first_click_reads_the_sample_and_one_window(costs: dict[str, Any]) -> None:
    bound = SAMPLE_ROUNDS * SAMPLE_CELLS + WINDOW_CHUNKS
    assert 0 < costs["first_chunks"] <= bound


def test_the_first_click_encodes_once_and_finds_the_object(
    costs: dict[str, Any],
) -> None:
    assert (costs["first_encodes"], costs["exact"]) == (1, True)


def test_a_second_click_in_the_window_reads_and_encodes_nothing(
    costs: dict[str, Any],
) -> None:
    assert (costs["second_chunks"], costs["second_encodes"]) == (0, 0)
    assert costs["same"]


def test_the_clicks_hold_less_than_a_gibibyte(costs: dict[str, Any]) -> None:
    assert 0 < costs["peak_kib"] < GIB_IN_KIB
