"""The picture of the notebook's widget, in a real JupyterLab.

The browser is driven as the tests do it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "jupyter_widget"))

from coins_scene import BOX, CLICKS, LAST, NOT_THIS
from lab import Notebook, Shown, chromium, jupyter_lab, write_notebook

CELL = """import napari_sam as ns
from skimage.data import coins

widget = ns.SegmentWidget(coins(), labels="coins.ome.zarr", height=420).show()"""
SIZE = {"width": 960, "height": 900}


def accept(notebook: Notebook, shown: Shown, label_id: int) -> None:
    """Press Enter, and wait until the object is written."""
    notebook.page.keyboard.press("Enter")
    shown.says(f"Object {label_id} is in the labels")


def photograph(notebook: Notebook, path: Path, theme: str) -> None:
    """Segment a few coins as a person would, and take the picture."""
    notebook.command("apputils:change-theme", {"theme": theme})
    notebook.page.set_viewport_size(SIZE)
    notebook.command("application:toggle-left-area")  # without the list of files
    shown = notebook.widget(-1)
    for label_id, (y, x) in enumerate(CLICKS, 1):
        shown.click(y + 0.5, x + 0.5)
        accept(notebook, shown, label_id)
    shown.drag(*BOX)
    accept(notebook, shown, len(CLICKS) + 1)
    shown.click(*LAST)
    shown.says("Enter accepts")
    shown.click(*NOT_THIS, modifiers=["Shift"])
    shown.says("candidate, score")
    notebook.page.mouse.move(0, 0)
    beside = (LAST[0] + 9, LAST[1] - 9)
    shown.wait_for_colour(*beside, lambda rgba: min(rgba[:2]) > rgba[2] + 20)  # yellow
    notebook.page.locator(".jp-Notebook").screenshot(path=path)


def draw_notebook(path: Path, theme: str = "JupyterLab Light") -> None:
    """Start everything, in a folder that is gone afterwards."""
    with TemporaryDirectory() as name:
        folder, own = Path(name) / "notebooks", Path(name) / "lab"
        folder.mkdir()
        own.mkdir()
        write_notebook(folder / "coins.ipynb", [], first=CELL)
        with jupyter_lab(folder, own) as url, chromium() as browser:
            notebook = Notebook(browser, url, "coins")
            photograph(notebook, path, theme)
            notebook.close()
    print(f"{path}: {len(CLICKS) + 1} objects")
