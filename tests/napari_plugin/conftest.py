"""Skip, saying so, where no window can be opened; keep settings and logs apart."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

NEEDED = ("napari", "pytestqt", "qtpy")


def reason_to_skip(config: pytest.Config) -> str:
    """What is missing for a window; empty if nothing is."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed"
    if not config.pluginmanager.hasplugin("pytest-qt"):
        return "pytest-qt is off, since the libraries of Qt are missing"
    is_windowed = not sys.platform.startswith("linux") or os.environ.get("DISPLAY")
    if not is_windowed and shutil.which("Xvfb") is None:
        return "no display, and no Xvfb to make one"
    return ""


class SkippedModule(pytest.Module):
    """A test module that is not even imported: it would need Qt for that."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip(reason_to_skip(self.config), allow_module_level=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    if not reason_to_skip(parent.config):
        return None
    return SkippedModule.from_parent(parent, path=module_path)


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test sets or logs must not reach the user's files, nor the next run."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        # napari has read the variable by now; it counts for processes that we start.
        patch.setenv("NAPARI_CONFIG", str(folder / "settings.yaml"))
        patch.setattr("napari.settings._CFG_PATH", str(folder / "settings.yaml"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("NAPARI_SAM_CACHE", str(folder / "cache"))
        yield
