"""Draw the pictures of the README: the napari window and the notebook's widget.

    xvfb-run -a -s "-screen 0 1400x900x24" python benchmarks/screenshots.py docs

Both are the real thing, with the same photograph, clicks and embedded model. napari
needs a display or Xvfb, the notebook chromium.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def main() -> None:
    """Parse the command line, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=["napari", "notebook"])
    args = parser.parse_args()
    # Each needs what the other does without.
    if args.only != "notebook":
        from napari_screenshot import draw_napari  # noqa: PLC0415

        draw_napari(args.folder / "napari.png")
    if args.only != "napari":
        from notebook_screenshot import draw_notebook  # noqa: PLC0415

        draw_notebook(args.folder / "notebook.png")


if __name__ == "__main__":
    main()
