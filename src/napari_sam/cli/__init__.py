"""The command line: napari-sam segment | evaluate | compare | train | models | demo.

app               the commands and their options
segment_command   `segment`, whose options are many
segment_prompts   what prompts in a file point at -> objects in a label volume
segment_automatic everything in an image -> a label volume
evaluate, compare, train, models, demo
                  the command of that name
request           what a command is to do, as values, and how they are read from text
checking          what can be wrong with a request, found before anything is made
label_output      the label volume of a run, opened as late as possible
overlay           a picture of one plane with outlines and prompts
reporting         lines on stdout and stderr, bars, errors and exit codes

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
        Always: 0 when all of the command was done, 1 when not, 2 for arguments that
        cannot be understood, 130 when interrupted.
    """
    # Loaded here, so that importing one command's module does not load them all.
    from napari_sam.cli.app import app  # noqa: PLC0415

    app(args=None if arguments is None else list(arguments), prog_name="napari-sam")
