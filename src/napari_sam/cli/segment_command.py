"""`napari-sam segment` and its options: with prompts, or without for everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from napari_sam.cli.reporting import OneLineErrors
from napari_sam.cli.request import (
    AutomaticRequest,
    DebugOption,
    DeviceOption,
    Mode,
    ModelChoice,
    ModelOption,
    Precision,
    PrecisionOption,
    Rule,
    RunOptions,
    SegmentRequest,
    Source,
    Target,
    Version,
    parse_channels,
    parse_contrast,
    parse_planes,
    parse_region,
)

_T = TypeVar("_T")


def segment(  # noqa: PLR0913 - each parameter is an option that a user can give
    image: Annotated[
        str,
        typer.Argument(
            metavar="IMAGE", help="OME-Zarr, zarr, TIFF, PNG, JPEG, .npy; path or URL."
        ),
    ],
    *,
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="What to segment, object by object. Without it: everything.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="LABELS.zarr",
            help="Label volume, made or continued; of everything, a new one, or a URL "
            "such as s3://BUCKET/LABELS.zarr. Without it: beside the image.",
        ),
    ] = None,
    model: ModelOption = "default",
    object_size: Annotated[
        float | None,
        typer.Option(
            metavar="PIXELS",
            help="Everything: side of a typical object; estimated if not given.",
        ),
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="Everything: how objects are found; instances take a fraction of the "
            "time, and a model with an instance decoder.",
        ),
    ] = None,
    planes: Annotated[
        str | None,
        typer.Option(
            metavar="0,4-9",
            help="Everything: of a stack; 0/4-9 of two stack axes, * for all.",
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="Y0,X0,Y1,X1", help="Everything: in this part."),
    ] = None,
    skip_empty: Annotated[
        bool,
        typer.Option(
            "--skip-empty/--no-skip-empty",
            help="Everything: leave out windows of flat background.",
        ),
    ] = True,
    objects: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="Everything: list what was found."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Everything: so many processes of this machine, with dask."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT", help="Everything: on a dask cluster that runs."
        ),
    ] = None,
    staging: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Everything: where labels are made that go to a URL.",
        ),
    ] = None,
    level: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Finest level to read, 0 is full resolution; of everything, the only "
            "one.",
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(metavar="0,2", help="Up to three that the model sees."),
    ] = None,
    series: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which image of a file of several, by number or name; IMAGE::NAME "
            "says the same.",
        ),
    ] = None,
    fill: Annotated[
        float | None,
        typer.Option(help="The value of pixels without data; found if it is clear."),
    ] = None,
    axes: Annotated[
        str | None,
        typer.Option(metavar="zyx", help="Where the image has none, or wrong ones."),
    ] = None,
    contrast: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="What becomes black and white; one pair, or one for each channel.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw labels and prompts into a picture; more planes in FILE.z3.png. "
            "Everything: the first plane.",
        ),
    ] = None,
    rule: Annotated[
        Rule,
        typer.Option(help="Prompts: who gets pixels that an older object has."),
    ] = Rule.KEEP,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace a label volume that is there."),
    ] = False,
    ome_zarr_version: Annotated[
        Version | None, typer.Option(help="Of new label volumes; 0.5 if not given.")
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.AUTO,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Prompts: keep embeddings here, for quicker later runs.",
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Segment everything, or what prompts point at, into an OME-Zarr label volume.

    Everything can be interrupted at any moment: the same command goes on.
    """
    source = Source(
        image,
        axes,
        _parsed(parse_channels, channels, "--channels"),
        _parsed(parse_contrast, contrast, "--contrast"),
        series,
        fill,
    )
    target = Target(output, rule, overwrite, ome_zarr_version)
    choice = ModelChoice(model, device, cache_dir, precision)
    run = RunOptions(
        object_size,
        mode,
        _parsed(parse_planes, planes, "--planes"),
        _parsed(parse_region, region, "--region"),
        skip_empty,
        objects,
        workers,
        scheduler,
        staging,
    )
    if prompts is not None:
        _refuse(run.given, "is for everything, without --prompts")
        request = SegmentRequest(source, prompts, target, choice, level, overlay)
        _segment_prompts(request, debug=debug)
    for_prompts = {"--rule": rule is not Rule.KEEP, "--cache-dir": bool(cache_dir)}
    _refuse(for_prompts, "needs --prompts")
    with OneLineErrors(debug=debug):
        from napari_sam.cli.segment_automatic import run_automatic  # noqa: PLC0415

        everything = AutomaticRequest(source, target, choice, run, level, overlay)
        raise SystemExit(run_automatic(everything))


def _segment_prompts(request: SegmentRequest, *, debug: bool) -> NoReturn:
    with OneLineErrors(debug=debug):
        from napari_sam.cli.segment_prompts import (  # noqa: PLC0415
            run_prompts,
            summarise,
        )

        raise SystemExit(summarise(run_prompts(request), debug=debug))


def _refuse(given: Mapping[str, bool], reason: str) -> None:
    """A usage error for options that need --prompts, or its absence."""
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise typer.BadParameter(f"{reason}.", param_hint=wrong[0])


def _parsed(parse: Callable[[str | None], _T], text: str | None, option: str) -> _T:
    """The option's value; a usage error where it cannot be read."""
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint=option) from error
