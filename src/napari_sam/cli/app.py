"""The commands and their options, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_sam.cli.reporting import OneLineErrors
from napari_sam.cli.request import (
    DebugOption,
    DeviceOption,
    ModelChoice,
    ModelOption,
    Point,
    Precision,
    PrecisionOption,
    Pretraining,
)
from napari_sam.cli.segment_command import segment

app = typer.Typer(
    name="napari-sam",
    help="Segment Anything for microscopy that is too big for memory.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.command()(segment)


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where to write everything.")
    ] = Path("demo-output"),
    model: ModelOption = "default",
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.AUTO,
    debug: DebugOption = False,
) -> None:
    """Segment nuclei in a real image that comes along; needs no network."""
    with OneLineErrors(debug=debug):
        from napari_sam.cli.demo import run_demo  # noqa: PLC0415

        choice = ModelChoice(model, device, precision=precision)
        raise SystemExit(run_demo(output, choice, debug=debug))


@app.command()
def evaluate(  # noqa: PLR0913 - each parameter is an option that a user can give
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET...",
            help="Folders with images/ and labels/, or OME-Zarr images with labels "
            "(IMAGE.zarr::NAME for one of several).",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option(metavar="REPORT/", help="Folder; an earlier run goes on.")
    ],
    model: ModelOption = "default",
    clicks: Annotated[int, typer.Option(min=1, help="For each object.")] = 9,
    point: Annotated[
        Point, typer.Option(help="Where the first click of an object is.")
    ] = Point.CENTER,
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 0,
    objects: Annotated[
        int | None, typer.Option(min=1, help="Of each plane, at most.")
    ] = None,
    smallest: Annotated[
        int, typer.Option(min=1, help="Objects of fewer pixels are left out.")
    ] = 16,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Planes of each set, at most.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes side by side.")] = 1,
    device: DeviceOption = "auto",
    precision: PrecisionOption = Precision.AUTO,
    debug: DebugOption = False,
) -> None:
    """Measure a model on annotated images, with simulated clicks and boxes."""
    with OneLineErrors(debug=debug):
        from napari_sam.cli.evaluate import run_evaluate  # noqa: PLC0415
        from napari_sam.evaluation import (  # noqa: PLC0415
            EvaluationOptions,
            ModelSource,
        )

        options = EvaluationOptions(
            clicks,
            random_point=point is Point.RANDOM,
            seed=seed,
            smallest=smallest,
            objects=objects,
        )
        source = ModelSource(model, device, precision.value)
        run_evaluate(datasets, source, output, options, limit=limit, jobs=jobs)


@app.command()
def compare(
    tested: Annotated[
        str,
        typer.Argument(
            metavar="A", help="Labels to test: OME-Zarr, zarr, TIFF, PNG, .npy."
        ),
    ],
    reference: Annotated[
        str,
        typer.Argument(metavar="B", help="The reference, of the same shape."),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="For compare.json, objects.csv and compare.md; without it: print.",
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Measure how well labels A agree with reference labels B of the same image."""
    with OneLineErrors(debug=debug):
        from napari_sam.cli.compare import run_compare  # noqa: PLC0415

        run_compare(tested, reference, output)


@app.command()
def train(  # noqa: PLR0913 - each parameter is an option that a user can give
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG.toml|DIR...",
            help="A config, `default` for that of the embedded default, or data: "
            "folders with images/ and labels/, OME-Zarr images with labels.",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option(metavar="WEIGHTS.safetensors", help="What is made.")
    ],
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME|PATH",
            help="Weights to start from; only the mask decoder learns. Without it: "
            "a new network.",
        ),
    ] = None,
    encoder: Annotated[
        bool, typer.Option("--encoder", help="With --from: everything learns.")
    ] = False,
    pretrain: Annotated[
        Pretraining | None,
        typer.Option(help="Teach the encoder from pixels alone, without labels."),
    ] = None,
    instances: Annotated[
        bool,
        typer.Option(
            "--instances",
            help="Only the instance decoder learns; prompts are answered as before.",
        ),
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="How long.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="How long, instead of steps.")
    ] = None,
    leave_out: Annotated[
        int | None,
        typer.Option(
            min=0, help="Last planes of each DIR, to validate on; a tenth if not given."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="ROOT", help="What the paths of data are relative to."),
    ] = None,
    scenes_share: Annotated[
        float | None, typer.Option(help="Share of crops that are synthetic, 0 to 1.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, after the warm-up.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of all that is drawn.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What to call the result.")] = None,
    image_size: Annotated[
        int | None, typer.Option(min=32, help="Of a new network: what it works at.")
    ] = None,
    window_size: Annotated[
        int | None, typer.Option(min=32, help="Pixels of an image seen at once.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.pt",
            help="State of the run, which goes on from it; beside the output if not "
            "given.",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Learning curve; beside the output if not given.",
        ),
    ] = None,
    device: DeviceOption = "auto",
    debug: DebugOption = False,
) -> None:
    """Train a network, or adapt one, and write its weights."""
    with OneLineErrors(debug=debug):
        from napari_sam.cli.train import TrainRequest, run_train  # noqa: PLC0415
        from napari_sam.training import Goal, RunFiles  # noqa: PLC0415

        request = TrainRequest(
            sources,
            data,
            start=start,
            encoder=encoder,
            name=name,
            image_size=image_size,
            window_size=window_size,
            steps=steps,
            minutes=minutes,
            seed=seed,
            learning_rate=learning_rate,
            scenes_share=scenes_share,
            leave_out=leave_out,
        )
        goal = Goal.INSTANCES if instances else Goal.SEGMENT
        goal = goal if pretrain is None else Goal.MAE
        files = RunFiles(output, checkpoint, log)
        raise SystemExit(run_train(request, files, goal, device))


@app.command()
def models(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for programs.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """List the models that can be used by name."""
    with OneLineErrors(debug=debug):
        from napari_sam.cli.models import show_models  # noqa: PLC0415

        show_models(as_json=as_json)
