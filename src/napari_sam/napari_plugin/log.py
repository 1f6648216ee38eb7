"""Errors in plain words for the user, and in full in a file.

The file is in platformdirs' log folder, small, and kept over restarts; the message of
a notification says where it is only for errors that nobody foresaw.
"""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

import platformdirs
from napari.utils.notifications import show_error

from napari_sam.errors import SamError

APP = "napari-sam"
FILE_NAME = "napari-sam.log"
MOST_BYTES = 1_000_000
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

logger = logging.getLogger("napari_sam")


def log_path() -> Path:
    """The log file, there or not."""
    return Path(platformdirs.user_log_dir(APP, appauthor=False)) / FILE_NAME


def start_logging() -> Path | None:
    """Write the package's log to a file from now on; called twice, it does nothing.

    Returns
    -------
    The file, or None where no log can be written: the plugin works without.
    """
    path = log_path()
    if any(_writes_to(handler, path) for handler in logger.handlers):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            path, maxBytes=MOST_BYTES, backupCount=1, encoding="utf-8", delay=True
        )
    except OSError:
        return None
    handler.setFormatter(logging.Formatter(FORMAT))
    logger.addHandler(handler)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return path


def show(error: BaseException) -> None:
    """Tell the user in a notification, and the log with the traceback."""
    logger.error("%s", error, exc_info=error)
    show_error(in_plain_words(error))


def in_plain_words(error: BaseException) -> str:
    """What to tell the user: our own errors say what to do, others need a frame."""
    if isinstance(error, SamError):
        return str(error)
    if isinstance(error, MemoryError):
        return (
            f"The memory of this computer is used up. Close other programs. {_more()}"
        )
    what = f"{type(error).__name__}: {error}".strip(": ")
    return f"Something went wrong that should not have ({what}). {_more()}"


def _more() -> str:
    return f"More is in the log file {log_path()}."


def _writes_to(handler: logging.Handler, path: Path) -> bool:
    return isinstance(handler, RotatingFileHandler) and handler.baseFilename == str(
        path
    )
