"""What a browser shows in tiles: the image, the labels, a candidate, a preview.

Each has a version. A tile is sent with the version that it was read at, and a view
requests those again that are older than the version that it knows of:

    session   label 7 is written ----> "labels changed here, version 12"
    tiles  read (version 11) ... send (version 11)      the view requests it once more
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import floor, log2
from typing import Any, Protocol

from napari_sam.images import Image
from napari_sam.jupyter_widget.messages import ViewMoved, seen_box
from napari_sam.jupyter_widget.tile_server import TileServer
from napari_sam.jupyter_widget.tiles import (
    SIDE,
    PackedTile,
    Ranges,
    TileKey,
    image_tile,
    label_shapes,
    label_tile,
    mask_tile,
    tiles_of,
)
from napari_sam.labels import Edit, LabelStore
from napari_sam.predictor import Candidate

MOST_PUSHED = 4
"""Tiles of a candidate that are sent before anybody requests them."""

MOST_READ = 2**26
"""Stored pixels that may be read for one tile."""


class Send(Protocol):
    """Sends a message to all views; from any thread."""

    def __call__(self, content: dict[str, Any], data: bytes | None = None) -> None:
        """Send."""


@dataclass(frozen=True, slots=True)
class ImageDisplay:
    """How the image is shown; the model has a range of its own."""

    version: int = 0
    contrast: Ranges | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ShownMask:
    """A candidate, or none."""

    version: int = 0
    candidate: Candidate | None = None


class TileView:
    """Serves the tiles that views request.

    Parameters
    ----------
    image, labels
        That are shown.
    send
        To all views.
    failed
        Called with errors of tiles that cannot be made; on the server's thread.
    """

    def __init__(
        self,
        image: Image,
        labels: LabelStore,
        send: Send,
        failed: Callable[[Exception], None],
    ) -> None:
        self.image = image
        self.labels = labels
        self._send = send
        self._failed = failed
        self._shapes = label_shapes(labels)
        self.display = ImageDisplay()
        self.labels_version = 0
        self.candidate = ShownMask()
        self.preview = ShownMask()
        self.view: ViewMoved | None = None
        self._server = TileServer(self._serve, self._on_failed)

    def facts(self) -> dict[str, Any]:
        """What a view has to know before it can request anything."""
        image = self.image
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
            "image": self.display.version,
            "labels": self.labels_version,
            "candidate": self.candidate.version,
            "preview": self.preview.version,
        }

    def move(self, message: ViewMoved) -> None:
        """A view has moved: serve what it lacks now."""
        self.view = message
        self._server.want(message.view, message.tiles)

    def count_arrived(self, number: int) -> None:
        """A view has this tile, and those before it."""
        self._server.count_arrived(number)

    def set_image(self, image: Image) -> None:
        """Show other channels of it, over the same labels."""
        self.image = image
        self.display = ImageDisplay(self.display.version + 1)

    def set_contrast(self, contrast: Ranges | None) -> None:
        """Show the image with these ranges; None: with its own."""
        if contrast != self.display.contrast:
            self.display = ImageDisplay(self.display.version + 1, contrast)

    def show_candidate(self, candidate: Candidate | None) -> None:
        """Show this; what of it is in view is sent at once."""
        if candidate is not self.candidate.candidate:
            self.candidate = ShownMask(self.candidate.version + 1, candidate)
            self._push("candidate", self.candidate)

    def show_preview(self, candidate: Candidate | None) -> None:
        """Show what a click would give."""
        if candidate is not self.preview.candidate:
            self.preview = ShownMask(self.preview.version + 1, candidate)
            self._push("preview", self.preview)

    def change_labels(self, edit: Edit) -> None:
        """Have views know which of their tiles are old now."""
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

    def _push(self, kind: Any, shown: ShownMask) -> None:
        view, candidate = self.view, shown.candidate
        if view is None or candidate is None:
            return
        seen = seen_box(view, self.image.shape)
        if seen is None:
            return
        keys = tiles_of(kind, candidate, mask_level(view.zoom), seen)
        for key in keys[:MOST_PUSHED]:
            self._send_mask(key, shown)

    def _serve(self, key: TileKey) -> None:
        if key.kind == "image":
            display = self.display
            found = image_tile(self.image, key, display.contrast)
            self._send_tile(found, display.version)
        elif key.kind == "labels":
            version = self.labels_version
            found = label_tile(self.labels, key, self._shapes)
            self._send_tile(found, version)
        else:
            self._send_mask(
                key, self.candidate if key.kind == "candidate" else self.preview
            )

    def _send_mask(self, key: TileKey, shown: ShownMask) -> None:
        found = mask_tile(shown.candidate, key, self.image.shape)
        self._send_tile(found, shown.version)

    def _send_tile(self, tile: PackedTile | None, version: int) -> None:
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
