"""A small stack, and a server of the test's own folder."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def stack() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 999, (3, 300, 400), dtype=np.uint16)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Serves the test's folder over HTTP."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield lambda: f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def noise() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 4000, (700, 900), dtype=np.uint16)
