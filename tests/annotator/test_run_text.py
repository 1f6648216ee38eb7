"""What is said of a run: how far, how fast, what went wrong, what is left."""

from pathlib import Path

import pytest

from napari_sam.annotator.run_merge import RegionRequest, UnfinishedRun
from napari_sam.annotator.run_text import (
    SHOWN_FAILURES,
    Speed,
    failure_text,
    progress_text,
    result_text,
    unfinished_text,
    window_text,
)
from napari_sam.automatic.plan import Tile
from napari_sam.automatic.run import RunProgress
from napari_sam.automatic.run_folder import AutomaticReport
from napari_sam.automatic.tiles.tile import TileFailure
from napari_sam.geometry import Box
from napari_sam.predictor.progress import WindowProgress

FAILURE = TileFailure((2, 0), Box(0, 96, 64, 192), "the device is gone")
REQUEST = RegionRequest(((),), Box(0, 0, 9, 9))


def at(done: int, count: int = 40, failures: int = 0) -> RunProgress:
    return RunProgress("tiles", done, count, 310, 0, failures, Tile((), 0, 0))


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (None, "Tile 10 of 40: 310 objects"),
        (1.25, "Tile 10 of 40: 310 objects, 1.2 tiles/s, about 24 s left"),
        (0.1, "Tile 10 of 40: 310 objects, 6 tiles/min, about 5 min left"),
        (0.001, "Tile 10 of 40: 310 objects, 0.06 tiles/min, about 8.3 h left"),
    ],
)
def test_progress_is_tiles_objects_rate_and_time_left(
    rate: float | None, words: str
) -> None:
    assert progress_text(at(10), rate) == words


def test_before_a_tile_is_done_it_is_the_windows_that_are_told() -> None:
    assert (
        window_text(WindowProgress(0, Box(0, 0, 9, 9), 3, 3, 40))
        == "Window 4 of at most 40"
    )
    assert "how large" in window_text(WindowProgress(0, Box(0, 0, 9, 9), 0, 0, 0))


def test_no_time_is_left_when_all_tiles_are_done() -> None:
    assert progress_text(at(40), 0.1) == "Tile 40 of 40: 310 objects"


def test_failures_are_counted_while_the_run_goes_on() -> None:
    assert "1 window failed" in progress_text(at(10, failures=1), None)


def test_tiles_of_an_earlier_call_do_not_count_for_the_rate() -> None:
    now = [100.0]
    speed = Speed(clock=lambda: now[0])
    speed.done = 30
    assert speed.per_second is None
    speed.begin()
    now[0] += 10
    speed.begin()
    assert speed.per_second is None
    speed.done = 35
    assert speed.per_second == 0.5


def test_failures_have_a_place_and_a_reason_and_are_not_endless() -> None:
    words = failure_text([FAILURE] * (SHOWN_FAILURES + 3))
    assert "plane 2, 0, y 0 to 64, x 96 to 192: the device is gone" in words
    assert words.endswith("and 3 more")
    assert failure_text(()) == ""


def test_the_result_says_what_was_added_and_what_was_left_out() -> None:
    report = AutomaticReport(Path(), Path(), 12, 1, 1, 0, (), 27.3)
    size = "Looked for objects of about 27 pixels."
    assert result_text(report, 12) == f"Done: 12 objects added to the labels. {size}"
    assert "11 objects added to the labels, 1 left out" in result_text(report, 11)


def left(
    done: int,
    *failures: TileFailure,
    fits_image: bool = True,
    fits_model: bool = True,
) -> str:
    run = UnfinishedRun(REQUEST, done, 9, fits_image, fits_model, failures)
    return unfinished_text(run)


def test_a_run_that_was_left_says_how_far_it_is_and_what_it_needs() -> None:
    assert left(4).startswith("4 of 9 tiles found: Continue goes on.")
    assert "Continue puts the objects into the labels" in left(9)
    assert "the device is gone" in left(9, FAILURE)
    assert "another model" in left(4, fits_model=False)
    assert "other pixels" in left(4, fits_image=False)
