"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_sam.cli.request import Precision as PrecisionName

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]
Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|PATH",
        help="A name from `napari-sam models`, or a file of weights.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[
    PrecisionName,
    typer.Option(
        help="Numbers that windows are encoded with; auto is float16 on CUDA, float32 "
        "elsewhere."
    ),
]
