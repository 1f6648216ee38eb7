"""`python -m napari_sam.cli`, for where scripts of packages are not on the path."""

from __future__ import annotations

from napari_sam.cli import main

if __name__ == "__main__":
    main()
