"""How many files of napari_sam a click goes through, from the prompt to candidates.

    python benchmarks/click_path.py
    python benchmarks/click_path.py --napari --files     (on a display, or in xvfb-run)

Counted are the files whose functions are called, in whatever thread; importing a module
is no call. A call crosses when the nearest caller of ours is in another file: `pairs`
are the files that do so, in the direction of the calls.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import CO_OPTIMIZED
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from measuring import show
from skimage import data

import napari_sam as ns
from napari_sam.model.checkpoints import load_model

PACKAGE = Path(ns.__file__).parent
CLICK = (60.5, 105.5)
MOST_S = 300


class CallCounter:
    """Counts calls of the package's functions, in all threads that begin after it."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()  # (from, into)
        self._is_on = False
        threading.setprofile(self._count)
        sys.setprofile(self._count)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is called meanwhile."""
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False

    @property
    def files(self) -> list[str]:
        """The files that were entered, relative to the package."""
        return sorted({into for _, into in self.calls})

    @property
    def crossings(self) -> Counter[tuple[str, str]]:
        """The calls that come from another file of the package."""
        return Counter(
            {
                (start, into): count
                for (start, into), count in self.calls.items()
                if start not in {"", into}
            }
        )

    def _count(self, frame: FrameType, event: str, _: Any) -> None:
        if self._is_on and event == "call":
            into = file_of(frame)
            if into:
                self.calls[caller_of(frame), into] += 1


def file_of(frame: FrameType) -> str:
    """Our file that a function is in, empty for others', for modules and classes."""
    path = Path(frame.f_code.co_filename)
    is_ours = path.is_relative_to(PACKAGE) and frame.f_code.co_flags & CO_OPTIMIZED
    return str(path.relative_to(PACKAGE)) if is_ours else ""


def caller_of(frame: FrameType) -> str:
    """The file of the nearest caller of ours."""
    caller = frame.f_back
    while caller is not None:
        if file := file_of(caller):
            return file
        caller = caller.f_back
    return ""


def count_session_click() -> CallCounter:
    """A first `Session.add(Click)`, embedded default, image in memory."""
    counter = CallCounter()
    model = load_model("default", "cpu")
    with (
        tempfile.TemporaryDirectory() as folder,
        ns.Session(data.coins(), Path(folder) / "labels.ome.zarr", model) as session,
    ):
        click = ns.Click(*CLICK)
        with counter.counting():
            candidates = session.add(click)
        if not candidates:
            raise SystemExit("Nothing was found.")
    return counter


def count_napari_click() -> CallCounter:
    """A first click with the mouse in napari, until its candidate is drawn."""
    # Before napari reads them: embeddings of an earlier run would shorten the path.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["NAPARI_SAM_CACHE"] = os.environ["XDG_STATE_HOME"] = folder
        from napari import Viewer  # noqa: PLC0415
        from qtpy.QtCore import QPoint, Qt  # noqa: PLC0415
        from qtpy.QtTest import QTest  # noqa: PLC0415

        from napari_sam.napari_plugin.dock import SegmentDock  # noqa: PLC0415

        counter = CallCounter()
        viewer = Viewer()
        viewer.add_image(data.coins(), name="coins")
        viewer.window.add_dock_widget(SegmentDock(viewer), name="Segment Anything")
        wait_until(lambda: drawn_in(viewer) is not None)
        viewer.reset_view()
        let_finish(counter)
        canvas, at = viewer.window._qt_viewer.canvas.native, QPoint(*on_canvas(viewer))
        with counter.counting():
            QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=at)
            wait_until(lambda: bool(drawn_in(viewer)))
        viewer.close()
    return counter


def let_finish(counter: CallCounter) -> None:
    """Wait for the encoding of what is in view, which no click waits for."""
    from qtpy.QtTest import QTest  # noqa: PLC0415

    with counter.counting():
        before, calls = -1, 0
        while before != calls:
            QTest.qWait(3000)
            by_file = ((into, n) for (_, into), n in list(counter.calls.items()))
            before, calls = calls, sum(n for into, n in by_file if "model/" in into)
    counter.calls.clear()


def wait_until(is_so: Callable[[], bool]) -> None:
    """Let the window run until then."""
    from qtpy.QtTest import QTest  # noqa: PLC0415

    end = monotonic() + MOST_S
    while not is_so():
        QTest.qWait(20)
        if monotonic() > end:
            raise SystemExit("The window did not get ready in time.")


def drawn_in(viewer: Any) -> int | None:
    """The largest value in the candidate's layer; None where there is no such layer."""
    layers = [layer for layer in viewer.layers if "andidate" in layer.name]
    return max((int(layer.data.max()) for layer in layers), default=None)


def on_canvas(viewer: Any) -> tuple[int, int]:
    """The (x, y) of `CLICK` on the canvas."""
    (height, width), camera = viewer.canvas.size, viewer.scene.camera
    (cy, cx), (y, x) = camera.center[-2:], CLICK
    return (
        round((x - cx) * camera.zoom + width / 2),
        round((y - cy) * camera.zoom + height / 2),
    )


def main() -> None:
    """Parse the command line, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--napari", action="store_true", help="click in napari too")
    parser.add_argument("--files", action="store_true", help="list what is entered")
    args = parser.parse_args()
    cases = {"Session.add(Click)": count_session_click}
    if args.napari:
        cases["napari, click to candidate"] = count_napari_click
    rows = []
    for name, count in cases.items():
        counter = count()
        lines = {
            file: len((PACKAGE / file).read_text(encoding="utf-8").splitlines())
            for file in counter.files
        }
        crossings = counter.crossings
        figures = (len(lines), sum(lines.values()), len(crossings), crossings.total())
        rows.append([name, *(f"{figure:,}" for figure in figures)])
        if args.files:
            print(name, *(f"  {lines[file]:5} {file}" for file in lines), sep="\n")
    header = ["", "files", "lines of these", "pairs", "calls between"]
    show("files that a click goes through", header, rows)


if __name__ == "__main__":
    main()
