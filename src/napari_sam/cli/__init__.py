"""The command line: napari-sam segment | compare | demo | models.

Only typer is imported to show help: each command imports what it needs when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and leave with its exit code.

    Parameters
    ----------
    arguments
        Those of the process if None.

    Raises
    ------
    SystemExit
        Always: 0 when everything asked for was done, 1 when not, 2 for arguments that
        cannot be understood, 130 when interrupted.
    """
    # Loaded here, so that importing one command's module does not load them all.
    from napari_sam.cli.app import app  # noqa: PLC0415

    app(args=None if arguments is None else list(arguments), prog_name="napari-sam")
