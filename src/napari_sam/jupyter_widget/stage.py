"""What the browser can ask to see: the image, the labels, a candidate, a preview.

Each has a version. A tile is sent with the version that it was read at, and a view asks
again for those that are older than what it was told last:

    desk      label 7 is written ----> "labels changed here, version 12"
    tiles  read (version 11) ... send (version 11)      the view asks once more
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import floor, log2
from typing import Any, Protocol

from napari_sam.geometry import Box
from napari_sam.images import Image
from napari_sam.jupyter_widget.messages import ViewMoved, seen_box
from napari_sam.jupyter_widget.tile_server import TileServer
from napari_sam.jupyter_widget.tiles import (
    SIDE,
    Ranges,
    Tile,
    TileKey,
    image_tile,
    label_shapes,
    label_tile,
    mask_tile,
    tiles_of,
)
from napari_sam.labels import Edit
from napari_sam.predictor.candidates import Candidate
from napari_sam.session import Session

MOST_PUSHED = 4
"""Tiles of a candidate that are sent before anybody asks."""

MOST_READ = 2**26
"""Stored pixels that may be read for one tile."""


class Send(Protocol):
    """Sends a message to all views; from any thread."""

    def __call__(self, content: dict[str, Any], data: bytes | None = None) -> None:
        """Send."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the image is shown; the model has a range of its own."""

    version: int = 0
    contrast: Ranges | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A candidate, or none."""

    version: int = 0
    candidate: Candidate | None = None


class Stage:
    """Serves what views ask for; the desk says what there is to see.

    Parameters
    ----------
    session
        Whose image and labels are shown.
    send
        To all views.
    failed
        Is told of tiles that cannot be made; on the server's thread.
    """

    def __init__(
        self, session: Session, send: Send, failed: Callable[[Exception], None]
    ) -> None:
        self._session = session
        self._send = send
        self._failed = failed
        self._shapes = label_shapes(session.labels)
        self.look = Look()
        self.labels_version = 0
        self.candidate = Shown()
        self.preview = Shown()
        self.view: ViewMoved | None = None
        self._server = TileServer(self._serve, self._on_failed)

    def facts(self) -> dict[str, Any]:
        """What a view has to know before it can ask for anything."""
        image = self._session.image
        height, width = image.shape
        return {
            "name": image.name,
            "shape": [height, width],
            "axes": image.stack_axes,
            "counts": list(image.stack_shape),
            "tile": SIDE,
            "levels": [
                {
                    "shape": list(level.shape),
                    "factors": list(level.factors),
                    "isCheap": is_cheap,
                }
                for level, is_cheap in zip(image.levels, cheap(image), strict=True)
            ],
            "labelLevels": [
                {
                    "shape": list(shape),
                    "factors": [_step(height, shape[0]), _step(width, shape[1])],
                }
                for shape in self._shapes
            ],
        }

    def versions(self) -> dict[str, int]:
        """What views compare their tiles with."""
        return {
            "image": self.look.version,
            "labels": self.labels_version,
            "candidate": self.candidate.version,
            "preview": self.preview.version,
        }

    def want(self, message: ViewMoved) -> None:
        """A view has moved."""
        self.view = message
        self._server.want(message.view, message.tiles)

    def arrived(self, number: int) -> None:
        """A view has this tile, and those before it."""
        self._server.count_arrived(number)

    def move_to(self, session: Session) -> None:
        """Show another session's image, over the same labels."""
        self._session = session
        self.look = replace(self.look, version=self.look.version + 1, contrast=None)

    def set_contrast(self, contrast: Ranges | None) -> None:
        """Show the image with these ranges; None: with its own."""
        if contrast != self.look.contrast:
            self.look = Look(self.look.version + 1, contrast)

    def show_candidate(self, candidate: Candidate | None) -> None:
        """Show this; what of it is in view is sent at once."""
        if candidate is not self.candidate.candidate:
            self.candidate = Shown(self.candidate.version + 1, candidate)
            self._push("candidate", self.candidate)

    def show_preview(self, candidate: Candidate | None) -> None:
        """Show what a click would give."""
        if candidate is not self.preview.candidate:
            self.preview = Shown(self.preview.version + 1, candidate)
            self._push("preview", self.preview)

    def labels_changed(self, edit: Edit) -> None:
        """Tell views which of their tiles are old now."""
        self.labels_version += 1
        box = edit.box
        self._send(
            {
                "type": "stale",
                "planes": [list(plane) for plane in edit.planes],
                "box": [box.y0, box.x0, box.y1, box.x1],
                "version": self.labels_version,
            }
        )

    def close(self) -> None:
        """Serve nothing any more."""
        self._server.close()

    def _push(self, kind: Any, shown: Shown) -> None:
        view, candidate = self.view, shown.candidate
        if view is None or candidate is None:
            return
        seen = seen_box(view, self._session.image.shape)
        if seen is None:
            return
        keys = tiles_of(kind, candidate, mask_level(view.zoom), seen)
        for key in keys[:MOST_PUSHED]:
            self._send_mask(key, shown)

    def _serve(self, key: TileKey) -> None:
        if key.kind == "image":
            look = self.look
            found = image_tile(self._session.image, key, look.contrast)
            self._send_tile(found, look.version)
        elif key.kind == "labels":
            version = self.labels_version
            found = label_tile(self._session.labels, key, self._shapes)
            self._send_tile(found, version)
        else:
            self._send_mask(
                key, self.candidate if key.kind == "candidate" else self.preview
            )

    def _send_mask(self, key: TileKey, shown: Shown) -> None:
        found = mask_tile(shown.candidate, key, self._session.image.shape)
        self._send_tile(found, shown.version)

    def _send_tile(self, tile: Tile | None, version: int) -> None:
        if tile is not None:
            content = _named(tile.key, version)
            content |= {"encoding": tile.encoding, "shape": list(tile.shape)}
            content["number"] = self._server.count_sent()
            self._send(content, tile.data)

    def _on_failed(self, key: TileKey, error: Exception) -> None:
        version = self.versions()[key.kind]
        self._send({**_named(key, version), "encoding": "error", "shape": [0, 0]})
        self._failed(error)


def mask_level(zoom: float) -> int:
    """How often a mask is halved where a pixel of level 0 has so many of the screen."""
    return max(0, min(floor(log2(1 / zoom)), 30)) if zoom < 1 else 0


def seen_of(stage: Stage, shape: tuple[int, int]) -> Box | None:
    """The pixels of the image in the view that moved last."""
    return None if stage.view is None else seen_box(stage.view, shape)


def cheap(image: Image) -> list[bool]:
    """Whether a tile of each level can be had without reading very much.

    Where there is no pyramid on disk, a pixel of a coarse level is the mean of many.
    """
    found, base = [], 1.0
    for level in image.levels:
        factor = max(level.factors)
        if level.stored:
            base = factor
        found.append((min(SIDE * factor / base, max(image.shape)) ** 2) <= MOST_READ)
    return found


def _named(key: TileKey, version: int) -> dict[str, Any]:
    return {
        "type": "tile",
        "kind": key.kind,
        "plane": list(key.plane),
        "level": key.level,
        "row": key.row,
        "column": key.column,
        "version": version,
    }


def _step(finest: int, side: int) -> int:
    """Pixels of level 0 along one of a level: label levels are sampled by halves."""
    return 1 << max(round(log2(finest / side)), 0)
