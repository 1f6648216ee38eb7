"""A model that has to be downloaded: how far it is, and what is said if it fails."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import xxhash
from dock_scene import Person, SquaresModel
from napari.utils.notifications import notification_manager
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QComboBox

from napari_sam.annotator.state import AnnotatorState
from napari_sam.model import registry
from napari_sam.model.download import RetryPolicy, fetch
from napari_sam.model.registry import Checksum, ModelRow, find_row
from napari_sam.napari_plugin.dock import SegmentDock
from napari_sam.napari_plugin.opening import Models
from napari_sam.napari_plugin.queued_screen import QueuedScreen

WEIGHTS = bytes(range(256)) * 4096  # 1 MiB
HALF = len(WEIGHTS) // 2


class Server:
    """Sends the first half of the weights, and the second when it is told to."""

    def __init__(self) -> None:
        self.may_go_on = Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path != "/weights":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(WEIGHTS)))
                self.end_headers()
                self.wfile.write(WEIGHTS[:HALF])
                self.wfile.flush()
                server.may_go_on.wait(20)
                self.wfile.write(WEIGHTS[HALF:])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.http.serve_forever)
        self.thread.start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/{name}"

    def close(self) -> None:
        self.may_go_on.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    opened = Server()
    checksum = Checksum("xxh128", xxhash.xxh3_128_hexdigest(WEIGHTS))
    rows = [
        ModelRow(
            name=name,
            family="A stand-in",
            licence="MIT",
            file_name=f"{name}.bin",
            url=opened.url(name),
            page="nowhere",
            size_bytes=len(WEIGHTS),
            checksums=(checksum,),
        )
        for name in ("weights", "lost")
    ]
    monkeypatch.setattr(registry, "REGISTRY", (*registry.REGISTRY, *rows))
    yield opened
    opened.close()


@pytest.fixture
def person(
    make_napari_viewer: Callable[..., Viewer],
    qtbot: QtBot,
    server: Server,
    tmp_path: Path,
) -> Person:
    def load(name: str, device: str, *, progress: Callable[..., None]) -> SquaresModel:
        row = find_row(name)
        if row is not None and row.url is not None:
            fetch(row, tmp_path, progress, RetryPolicy(attempts=1, backoff_s=0))
        return SquaresModel()

    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((64, 64), np.uint8), name="flat")
    sat = Person(viewer, qtbot)
    sat.dock = SegmentDock(viewer, Models(load))
    viewer.window.add_dock_widget(sat.dock)
    sat.until(lambda: sat.dock.controller.screen is not None)
    return sat


def pick(person: Person, name: str) -> QComboBox:
    names = person.dock.image.picker.names
    index = names.findData(name)
    assert "to download" in names.itemText(index)
    names.setCurrentIndex(index)
    names.activated.emit(index)
    return names


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How much of a download is done, and the total, as the dock is told."""
    told: list[tuple[int, int]] = []
    show = QueuedScreen.show

    def record(self: QueuedScreen, state: AnnotatorState) -> None:
        if state.job.done:
            told.append((state.job.done, state.job.count))
        show(self, state)

    monkeypatch.setattr(QueuedScreen, "show", record)
    return told


def test_a_download_shows_how_far_it_is_and_then_the_model_is_there(
    person: Person, server: Server, seen: list[tuple[int, int]]
) -> None:
    dock = person.dock
    pick(person, "weights")
    person.until(lambda: dock.progress.value() > 0)
    assert 0 < seen[-1][0] <= HALF
    assert seen[-1][1] == len(WEIGHTS)
    assert 0 < dock.progress.value() <= dock.progress.maximum() // 2
    server.may_go_on.set()
    person.until(lambda: dock.controller.screen is not None)
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert dock.controller.choices.model == "weights"
    assert dock.image.picker.names.currentData() == "weights"


def test_a_download_that_fails_is_said_in_plain_words_and_the_dock_goes_on(
    person: Person,
) -> None:
    dock = person.dock
    pick(person, "lost")
    person.until(lambda: not dock.controller.is_opening)
    message = notification_manager.records[-1].message
    assert "lost" in message
    assert "404" in message
    assert "Traceback" not in message
    assert "should not have" not in message  # which is what unforeseen errors are told
    assert dock.image.picker.names.currentData() == "default"
    dock.start.click()
    person.until(lambda: dock.controller.screen is not None)


def test_a_download_can_be_cancelled(
    person: Person, server: Server, seen: list[tuple[int, int]]
) -> None:
    dock = person.dock
    pick(person, "weights")
    person.until(lambda: bool(seen))
    annotator = dock.controller.annotator
    dock.object_panel.cancel.click()
    assert not dock.controller.is_opening
    server.may_go_on.set()
    annotator.close()  # it is closed, but what it was opening may not have ended
    person.qtbot.wait(50)
    assert dock.controller.screen is None
    assert dock.image.picker.names.currentData() == "default"
