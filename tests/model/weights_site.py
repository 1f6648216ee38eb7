"""A server for weights that misbehaves on purpose."""

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from napari_sam.model.download import RetryPolicy, fetch
from napari_sam.model.registry import ModelRow

CONTENT = bytes(range(256)) * 1200  # a few of the pieces that are received at once
OTHER = CONTENT[::-1]
HASTY = RetryPolicy(attempts=3, backoff_s=0.0, timeout_s=5.0)


@dataclass
class Site:
    """What the server does; `cuts` and `statuses` are used up, one a request."""

    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)  # bytes sent before hanging up
    statuses: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    etag: str = '"one"'
    claims_extra: int = 0  # added to the true Content-Length of a whole answer
    piece: int = 1 << 20
    ranges: list[str | None] = field(default_factory=list)  # the Range headers
    sent: int = 0


class Handler(BaseHTTPRequestHandler):
    """Answer as the server's `site` says."""

    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        wanted = self.headers.get("Range")
        site.ranges.append(wanted)
        if site.statuses and (status := site.statuses.pop(0)) != 200:
            self.send_error(status)
            return
        if self.headers.get("If-Range", site.etag) != site.etag:
            wanted = None
        start = 0
        if wanted and site.knows_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.answer(site, start)

    def answer(self, site: Site, start: int) -> None:
        size = len(site.content)
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if site.etag:
            self.send_header("ETag", site.etag)
        extra = 0 if start else site.claims_extra
        self.send_header("Content-Length", str(size - start + extra))
        self.end_headers()
        body = site.content[start:]
        if site.cuts:
            body = body[: site.cuts.pop(0)]
        for at in range(0, len(body), site.piece):
            self.wfile.write(body[at : at + site.piece])
        site.sent += len(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def quiet(_done: int, _total: int | None) -> None:
    """No progress bar."""


def get(row: ModelRow, folder: Path) -> Path:
    return fetch(row, folder, quiet, HASTY).path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"toy.pth.lock"}


def leave_part(folder: Path, row: ModelRow, content: bytes, version: str) -> None:
    (folder / "toy.pth.part").write_bytes(content)
    source = {"url": row.url, "version": version}
    (folder / "toy.pth.part.json").write_text(json.dumps(source))
