"""`napari-sam demo`: the main job on a real image, from nothing, without a network."""

from __future__ import annotations

from pathlib import Path

from napari_sam.cli.checking import check_writable
from napari_sam.cli.demo_image import write_image
from napari_sam.cli.demo_scene import OBJECTS, demo_pixels
from napari_sam.cli.reporting import note, say
from napari_sam.cli.request import (
    Network,
    RequestError,
    SegmentRequest,
    Source,
    Target,
)
from napari_sam.cli.segment_prompts import run_segment
from napari_sam.cli.summary import summarise
from napari_sam.prompt_files import write_prompts


def run_demo(folder: Path, network: Network, *, debug: bool = False) -> int:
    """Write image, prompts, labels and overlay into a folder; returns the exit code.

    What an earlier demo wrote there is replaced.
    """
    folder = folder.expanduser()
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"--output needs a folder, {folder} is a file.")
    check_writable(folder, f"The demo's output {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    image, prompts = folder / "image.ome.zarr", folder / "prompts.json"
    labels, overlay = folder / "labels.ome.zarr", folder / "overlay.png"
    write_image(demo_pixels(), image)
    write_prompts(prompts, OBJECTS)
    note(
        "This is the same as:\n"
        f"  napari-sam segment {image} --prompts {prompts} --output {labels} "
        f"--overlay {overlay} --overwrite"
    )
    report = run_segment(
        SegmentRequest(
            Source(str(image)),
            prompts,
            Target(labels, overwrite=True),
            network,
            overlay=overlay,
            debug=debug,
        )
    )
    for written in report.written:
        say(
            f"  label {written.label_id}: score {written.score:.2f}, "
            f"{written.box.shape[0]} x {written.box.shape[1]} pixels"
        )
    return summarise(report, debug=debug)
