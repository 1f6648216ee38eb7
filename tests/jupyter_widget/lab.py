"""A real JupyterLab and a real browser, for the tests to click in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import nbformat
from lab_needs import CHROMIUM
from playwright.sync_api import (
    Browser,
    Locator,
    Page,
    WebSocket,
    WebSocketRoute,
    sync_playwright,
)

HERE = Path(__file__).parent
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Whatever else the browser itself may want to look up.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
MOST_S = float(os.environ.get("MOST_S", "240"))
"""To wait for anything; a machine may be slow, and have other things to do."""

FIRST_CELL = f"import sys\nsys.path.insert(0, {str(HERE)!r})\n" + (
    "import ipywidgets as ipw\nimport napari_sam as ns\nfrom widget_scene import *"
)
SETTINGS = {
    # All cells stay in the page, in view or not.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false"},
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def write_notebook(path: Path, cells: Sequence[str], first: str = FIRST_CELL) -> None:
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in (first, *cells)]
    )
    book.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(book, path)


@contextmanager
def jupyter_lab(folder: Path, own: Path) -> Iterator[str]:
    """Serve a folder; `own` is where Lab keeps what it remembers."""
    for name, values in SETTINGS.items():
        file = own / f"config/lab/user-settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    places = {
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "OMP_NUM_THREADS": "1",
    }
    url = f"http://127.0.0.1:{(port := free_port())}"
    options = (
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        "--expose-app-in-browser",
    )
    with (own / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env={**os.environ, **places},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: is_up(url), "the server")
            yield url
        finally:
            server.terminate()
            server.wait(MOST_S)


def is_up(url: str) -> bool:
    try:
        with urlopen(f"{url}/api/status", timeout=10):
            return True
    except (URLError, OSError):
        return False


def wait_until(is_so: Callable[[], bool], what: str = "it") -> None:
    end = time.monotonic() + MOST_S
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen in {MOST_S} s.")
        time.sleep(0.1)


IS_READY = """() => {
    const { sessionContext: context } = window.jupyterapp?.shell.currentWidget ?? {};
    const kernel = context?.isReady && context.session?.kernel;
    const isThere = kernel && kernel.connectionStatus === "connected";
    return isThere && kernel.status === "idle";
}"""
"""Whether the notebook is open, and its kernel listens and has nothing to do."""

RESTART = """() => {
    const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
    window.nsamIsDone = false;
    kernel.restart().then(() => kernel.info).then(() => { window.nsamIsDone = true; });
}"""

COMMAND = """([name, options, cell]) => {
    const { commands, shell } = window.jupyterapp;
    if (cell !== null) shell.currentWidget.content.activeCellIndex = cell;
    window.nsamIsDone = false;
    commands.execute(name, options).then(() => { window.nsamIsDone = true; });
}"""


class Notebook:
    """A notebook in a page; remembers what it asked other computers for."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        name: str,
        ratio: float = 1,
        *,
        can_be_cut: bool = False,
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": 1100, "height": 900}, device_scale_factor=ratio
        )
        self.elsewhere: list[str] = []
        self.errors: list[str] = []
        self.context.on("request", lambda request: self._on_request(request.url))
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(MOST_S * 1000)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", self._on_socket)
        self._lines: list[WebSocketRoute] = []
        if can_be_cut:
            self.page.route_web_socket("**/channels**", self._on_line)
        self.page.goto(f"{url}/lab/workspaces/{name}-{ratio}/tree/{name}.ipynb?reset")
        self.ready()

    def _on_socket(self, socket: WebSocket) -> None:
        self._on_request(socket.url)

    def _on_line(self, line: WebSocketRoute) -> None:
        line.connect_to_server()
        self._lines.append(line)

    def cut(self) -> None:
        """Cut the connection to the kernel, and wait until JupyterLab has a new one."""
        lines, self._lines = self._lines, []
        for line in lines:
            line.close(code=1011)

        def is_back() -> bool:
            self.page.wait_for_timeout(100)  # in which the page can tell of it
            return bool(self._lines)

        wait_until(is_back, "a new connection")
        self.ready()

    def _on_request(self, url: str) -> None:
        parts = urlsplit(url)
        is_here = parts.hostname in {"127.0.0.1", "localhost"}
        if not is_here and parts.scheme not in {"data", "blob"}:
            self.elsewhere.append(url)

    def ready(self) -> None:
        """Wait until the notebook is open and its kernel has time."""
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.page.wait_for_function(IS_READY)

    def command(
        self,
        name: str,
        options: dict[str, object] | None = None,
        cell: int | None = None,
    ) -> None:
        """Let JupyterLab do something, and wait until it is done."""
        self.page.evaluate(COMMAND, [name, options or {}, cell])
        self.page.wait_for_function("() => window.nsamIsDone")

    def start(self, index: int) -> None:
        """Run a cell, and do not wait until it has ended."""
        self.page.evaluate(COMMAND, ["notebook:run-cell", {}, index + 1])

    def run(self, index: int) -> Locator:
        """Run a cell to its end, counted without the first one, and return it."""
        self.command("notebook:run-cell", cell=index + 1)
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index + 1)

    def save(self) -> None:
        """Write the notebook's file."""
        self.command("docmanager:save")

    def restart(self) -> None:
        """Let the kernel forget everything."""
        self.page.evaluate(RESTART)
        self.page.wait_for_function("() => window.nsamIsDone")
        self.ready()

    def widget(self, index: int, which: int = 0) -> Shown:
        """Run a cell, and find the widget below it."""
        return Shown(self.run(index), which)

    def shown(self, index: int) -> Shown:
        """The widget that is below a cell."""
        return Shown(self.page.locator(".jp-Notebook .jp-CodeCell").nth(index + 1))

    def close(self) -> None:
        self.context.close()


class Shown:
    """A widget in the page."""

    def __init__(self, cell: Locator, which: int = 0) -> None:
        self.cell = cell
        self.root = cell.locator(".napari-sam").nth(which)
        self.canvas = self.root.locator("canvas")
        self.canvas.wait_for()
        self.says("object")
        self.canvas.scroll_into_view_if_needed()

    def says(self, text: str) -> None:
        """Wait until the status says so."""
        self.root.locator(".nsam-status", has_text=text).wait_for()

    def complains(self, text: str) -> None:
        """Wait until an error is shown."""
        self.root.locator(".nsam-error", has_text=text).wait_for()

    def look_at(self, y: float, x: float, zoom: float) -> None:
        """Move the view, and wait until that is drawn."""
        self.canvas.evaluate(
            """(canvas, place) => {
                canvas.nsamMoveTo(place);
                return new Promise((drawn) => requestAnimationFrame(drawn));
            }""",
            {"y": y, "x": x, "zoom": zoom},
        )

    def place(self, y: float, x: float) -> dict[str, float]:
        """Where in the canvas, in pixels of the page, a point of the image is."""
        return self.canvas.evaluate(
            """(canvas, [y, x]) => {
                const view = canvas.nsamView, rect = view.rect();
                return { x: (x - view.x) * view.zoom + rect.width / 2,
                         y: (y - view.y) * view.zoom + rect.height / 2 };
            }""",
            [y, x],
        )

    def click(self, y: float, x: float, **how: object) -> None:
        self.canvas.click(position=self.place(y, x), **how)

    def drag(self, y0: float, x0: float, y1: float, x1: float) -> None:
        mouse, corner = self.canvas.page.mouse, self.canvas.bounding_box()
        start, end = self.place(y0, x0), self.place(y1, x1)
        mouse.move(corner["x"] + start["x"], corner["y"] + start["y"])
        mouse.down()
        mouse.move(corner["x"] + end["x"], corner["y"] + end["y"], steps=3)
        mouse.up()

    def colour(self, y: float, x: float) -> list[int]:
        """What is drawn at a point of the image."""
        return self.canvas.evaluate(
            """(canvas, [y, x]) => {
                const [sy, sx] = canvas.nsamView.onScreen(y, x);
                const at = [Math.floor(sx), Math.floor(sy), 1, 1];
                return [...canvas.getContext("2d").getImageData(...at).data];
            }""",
            [y, x],
        )

    def wait_for_colour(
        self, y: float, x: float, is_so: Callable[[list[int]], bool]
    ) -> None:
        wait_until(
            lambda: is_so(self.colour(y, x)), f"the colour at ({y}, {x}) as expected"
        )


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=list(ARGS)
        )
        try:
            yield browser
        finally:
            browser.close()
