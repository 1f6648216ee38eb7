"""What a button does must never end the dock: errors go to the user."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from napari_sam.napari_plugin import log
from napari_sam.napari_plugin.controller import Controller


def guarded(act: Callable[[], Any]) -> None:
    """Tell the user what goes wrong, and go on."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - never a dead dock
        log.show(error)


def for_workspace(
    controller: Controller, act: Callable[..., Any]
) -> Callable[..., None]:
    """Make `act(workspace, ...)` something that a button may call at any time."""

    def run(*values: Any) -> None:
        workspace = controller.workspace
        if workspace is not None:
            guarded(partial(act, workspace, *values))

    return run
