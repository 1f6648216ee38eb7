"""Which tiles are sent, and when: the newest view first, stale ones never."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from widget_scene import BRIGHT, LEVELS, SIDE, SquaresModel, write_slide
from widget_talk import MOST_S, wait_for

import napari_sam as ns
from napari_sam.jupyter_widget import tile_server
from napari_sam.jupyter_widget.tile_server import MOST_AHEAD, TileServer
from napari_sam.jupyter_widget.tiles import TileKey


def test_the_newest_view_is_served_first_and_stale_tiles_never() -> None:
    started, go_on, served = Event(), Event(), []

    def serve(key: TileKey) -> None:
        served.append((key.kind, key.column))
        started.set()
        assert go_on.wait(MOST_S)

    server = TileServer(serve, lambda key, error: None)
    server.want("one", [TileKey("image", (), 0, 0, c) for c in range(5)])
    assert started.wait(MOST_S)
    server.want("two", [TileKey("labels", (), 0, 0, 0)])
    server.want("one", [TileKey("image", (), 0, 0, 7)])
    server.want("three", [TileKey("preview", (), 0, 0, 0)])
    go_on.set()
    wait_for(lambda: len(served) == 4)
    server.close()
    assert served == [("image", 0), ("preview", 0), ("image", 7), ("labels", 0)]


def test_a_tile_that_fails_does_not_stop_the_next_one() -> None:
    failed, done = [], Event()

    def serve(key: TileKey) -> None:
        if key.column == 0:
            raise OSError("a damaged chunk")
        done.set()

    server = TileServer(serve, lambda key, error: failed.append(str(error)))
    server.want("one", [TileKey("image", (), 0, 0, c) for c in range(2)])
    assert done.wait(MOST_S)
    server.close()
    assert failed == ["a damaged chunk"]


def image_keys(count: int, row: int = 0) -> list[TileKey]:
    return [TileKey("image", (), 0, row, column) for column in range(count)]


def counting_server(sent: list[tuple[int, int]]) -> TileServer:
    def serve(key: TileKey) -> None:
        sent.append((key.row, key.column))
        server.count_sent()

    server = TileServer(serve, lambda key, error: None)
    return server


def test_what_a_slow_line_has_not_delivered_gives_way_to_a_newer_view(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tile_server, "PATIENCE_S", 60)
    sent: list[tuple[int, int]] = []
    server = counting_server(sent)
    server.want("one", image_keys(50))
    wait_for(lambda: len(sent) == MOST_AHEAD)
    server.want("one", image_keys(2, row=9))
    server.count_arrived(1)
    wait_for(lambda: len(sent) == MOST_AHEAD + 1)
    assert sent[-1] == (9, 0)
    server.count_arrived(MOST_AHEAD)
    wait_for(lambda: sent[-1] == (9, 1))
    server.close()
    assert len(sent) == MOST_AHEAD + 2


def test_tiles_go_on_where_nothing_can_say_that_they_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tile_server, "PATIENCE_S", 0.01)
    sent: list[tuple[int, int]] = []
    server = counting_server(sent)
    server.want("one", image_keys(3 * MOST_AHEAD))
    wait_for(lambda: len(sent) == 3 * MOST_AHEAD)
    server.close()


def test_a_page_that_is_reloaded_waits_for_nothing_of_the_page_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tile_server, "PATIENCE_S", 60)
    sent: list[tuple[int, int]] = []
    server = counting_server(sent)
    server.want("gone", image_keys(50))
    wait_for(lambda: len(sent) == MOST_AHEAD)
    server.want("reloaded", image_keys(2, row=9))
    wait_for(lambda: (9, 1) in sent)
    server.close()


def test_no_message_about_a_huge_slide_is_more_than_512_pixels_wide(
    tmp_path: Path,
) -> None:
    slide = ns.open_image(write_slide(tmp_path / "s.zarr"), contrast_limits=(0, 255))
    widget = ns.SegmentWidget(slide, tmp_path / "labels.zarr", SquaresModel())
    heard: list[tuple[dict[str, Any], bytes]] = []

    def send(content: dict[str, Any], buffers: Any = None) -> None:
        heard.append((content, buffers[0] if buffers else b""))

    widget.canvas.send = send  # type: ignore[method-assign]
    factors = [level["factors"][0] for level in widget.canvas.facts["levels"]]
    assert factors[:LEVELS] == [1 << level for level in range(LEVELS)]
    place = BRIGHT.y0 // 512
    wanted = [["image", LEVELS - 1, 0, 0], ["image", 0, place, place]]
    view = {"type": "view", "view": "v", "plane": [], "box": [0, 0, SIDE, SIDE]}
    content = {**view, "zoom": 0.01, "tiles": wanted}
    widget.canvas._handle_custom_msg(content, [])
    wait_for(lambda: len(heard) == 2)
    for tile, data in heard:
        assert max(tile["shape"]) <= 512
        assert 0 < len(data) <= 4 * 512 * 512
    assert [tile["level"] for tile, _ in heard] == [LEVELS - 1, 0]
    widget.add(ns.Click(BRIGHT.y0 + 9.0, BRIGHT.x0 + 9.0))
    assert widget.accept() == 1
    # The labels are there as an array, and read where they are indexed.
    assert widget.labels.shape == (SIDE, SIDE)
    assert np.all(widget.labels[BRIGHT.slices] == 1)
    assert not widget.labels[: BRIGHT.y0 % 512, :512].any()
    widget.close()
