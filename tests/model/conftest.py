"""A server for weights, and the row of a model on it."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
import xxhash
from weights_site import CONTENT, Handler, Site

from napari_sam.model.registry import Checksum, ModelRow


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = Site()  # type: ignore[attr-defined]
    server.site.url = (  # type: ignore[attr-defined]
        f"http://127.0.0.1:{server.server_port}/weights.pth"
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.site  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def row(site: Site) -> ModelRow:
    """A model that the site has, with every checksum."""
    return ModelRow(
        name="toy",
        family="test",
        licence="CC0-1.0",
        file_name="toy.pth",
        url=site.url,  # type: ignore[attr-defined]
        page="nowhere",
        checksums=(
            Checksum("sha256", hashlib.sha256(CONTENT).hexdigest()),
            Checksum("xxh128", xxhash.xxh3_128(CONTENT).hexdigest()),
        ),
        size_bytes=len(CONTENT),
    )
