"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]
Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|PATH",
        help="A name from `napari-sam models`, or a file of weights.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
