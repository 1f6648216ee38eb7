"""Errors reach the user in plain words, and the log file in full."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from napari.utils.notifications import notification_manager

from napari_sam.errors import LabelWriteError
from napari_sam.napari_plugin import log


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(
        "platformdirs.user_log_dir", lambda *names, **facts: str(tmp_path / "log")
    )
    before = set(log.logger.handlers)
    log.start_logging()
    yield log.log_path()
    for handler in set(log.logger.handlers) - before:
        log.logger.removeHandler(handler)
        handler.close()


def shown(error: BaseException) -> str:
    notification_manager.records.clear()
    log.show(error)
    return notification_manager.records[-1].message


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.filterwarnings("ignore::UserWarning")  # what napari shows without a window
def test_an_error_of_ours_is_shown_as_it_is(file: Path) -> None:
    assert shown(LabelWriteError("The disk is full.")) == "The disk is full."


def test_any_other_error_says_where_more_is(file: Path) -> None:
    message = shown(KeyError("x"))
    assert "KeyError" in message
    assert str(file) in message


def test_the_file_has_the_traceback(file: Path) -> None:
    log.show(raised(ZeroDivisionError("by nothing")))
    assert "ZeroDivisionError: by nothing" in file.read_text()
    assert "in raised" in file.read_text()


def test_logging_that_is_started_twice_writes_once(file: Path) -> None:
    log.start_logging()
    logging.getLogger("napari_sam.anything").warning("said once")
    assert file.read_text().count("said once") == 1


def test_a_place_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        "platformdirs.user_log_dir", lambda *names, **facts: str(tmp_path / "file")
    )
    assert log.start_logging() is None
    assert "More is in" in log.in_plain_words(KeyError("x"))
