"""What a button does must never end the dock: errors go to the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_sam.napari_plugin import log


def guarded(act: Callable[[], Any]) -> None:
    """Tell the user what goes wrong, and go on."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - never a dead dock
        log.show(error)
