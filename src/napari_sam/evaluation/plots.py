"""Plots of a report, and a sheet of the best, median and worst objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from napari_sam.evaluation.curves import Figures
from napari_sam.evaluation.datasets import AnnotatedPlane, Dataset
from napari_sam.evaluation.protocol import EvaluatedObject, PlaneResult
from napari_sam.geometry import Box
from napari_sam.masks import Mask, from_run_lengths
from napari_sam.predictor import PlacedMask

SHEET_COLUMNS = 8
TILE_INCHES = 1.7
LEAST_VIEW = 48  # pixels of the image in a tile
WIDEST_VIEW = 5  # sides of the object around it; a mask may cover much more
SIZE_TICKS = (4, 8, 16, 32, 64, 128, 256, 512)


def draw_plots(
    output: Path,
    datasets: Sequence[Dataset],
    results: Sequence[PlaneResult],
    figures: Mapping[str, Figures],
) -> list[str]:
    """Draw all plots as PNG into a folder, and return their names."""
    drawn = {
        "iou_by_clicks.png": _iou_by_clicks(figures),
        "iou_by_size.png": _iou_by_size(results),
        "calibration.png": _calibration(figures),
        "objects.png": contact_sheet(datasets, results),
    }
    for name, figure in drawn.items():
        figure.savefig(output / name, dpi=110)
    return list(drawn)


def contact_sheet(
    datasets: Sequence[Dataset], results: Sequence[PlaneResult]
) -> Figure:
    """Objects after one click: best, around the median, worst.

    The annotated outline is green and broad, the mask's magenta, the click a dot. What
    the mask covers elsewhere is in the picture, up to some object sizes away.
    """
    planes = {
        (plane.dataset, plane.name, plane.plane): plane
        for dataset in datasets
        for plane in dataset.planes
    }
    ranked = sorted(
        ((result, one) for result in results for one in result.objects),
        key=lambda entry: -entry[1].clicks[0].iou,
    )
    count = min(SHEET_COLUMNS, len(ranked))
    middle = (len(ranked) - count) // 2
    rows = {
        "best": ranked[:count],
        "median": ranked[middle : middle + count],
        "worst": ranked[len(ranked) - count :],
    }
    figure = _figure(SHEET_COLUMNS * TILE_INCHES, len(rows) * (TILE_INCHES + 0.35))
    grid = figure.subplots(len(rows), SHEET_COLUMNS, squeeze=False)
    for axes_row, (name, entries) in zip(grid, rows.items(), strict=True):
        for axes in axes_row:
            axes.set_axis_off()
        for axes, (result, one) in zip(axes_row, entries, strict=False):
            plane = planes[result.dataset, result.name, result.plane]
            _draw_object(axes, plane, one)
            axes.set_title(f"{name}: {one.clicks[0].iou:.2f}", fontsize=8)
    return figure


def _draw_object(axes: Axes, plane: AnnotatedPlane, one: EvaluatedObject) -> None:
    with plane.open_image() as image:
        view = view_of(one).clip(Box.of_shape(image.shape))
        pixels = image.read_rgb(plane.plane, 0, view)
    wanted = plane.read_labels()[view.slices] == one.label
    axes.imshow(pixels, interpolation="nearest")
    _outline(axes, wanted, "lime", width=2.4)
    if one.shown is not None:
        shown_box = Box(*one.shown[0])
        mask = from_run_lengths(one.shown[1], shown_box.shape)
        shown = PlacedMask(mask, shown_box, level=0).read(view)
        _outline(axes, shown, "magenta", width=0.9)
    y, x, _ = one.points[0]
    axes.plot(x - view.x0, y - view.y0, "o", color="yellow", markersize=3)


def view_of(one: EvaluatedObject) -> Box:
    """What to show of an object: its surroundings, and the mask that it got."""
    box = Box(*one.box)
    side = max(box.shape)
    view = box.grow(side // 2 + max(0, LEAST_VIEW - 2 * side) // 2)
    if one.shown is None:
        return view
    shown = Box(*one.shown[0]).grow(4)
    return Box.around([view, shown]).clip(box.grow(WIDEST_VIEW * side))


def _outline(axes: Axes, mask: Mask, colour: str, *, width: float) -> None:
    # A rim of nothing, so that outlines close at the border of the view.
    padded = np.pad(mask, 1).astype(float)
    rows, columns = (np.arange(side) - 1 for side in padded.shape)
    if mask.any():
        axes.contour(columns, rows, padded, [0.5], colors=colour, linewidths=width)


def _iou_by_clicks(figures: Mapping[str, Figures]) -> Figure:
    figure = _figure(6.4, 4.2)
    axes = figure.subplots()
    for name, of in figures.items():
        iou = of["clicks"]["iou"]
        (line,) = axes.plot(range(1, len(iou) + 1), iou, marker="o", label=name)
        colour = line.get_color()
        axes.plot(1, of["clicks"]["best_of_three"][0], marker="^", color=colour)
        axes.plot(0, of["tight_box"]["iou"], marker="s", color=colour)
    axes.set_xlabel("clicks (0: a tight box; triangle: best of three)")
    axes.set_ylabel("mean IoU")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return figure


def _iou_by_size(results: Sequence[PlaneResult]) -> Figure:
    objects = [one for result in results for one in result.objects]
    sizes = np.sqrt([one.area for one in objects])
    iou = np.array([one.clicks[0].iou for one in objects])
    figure = _figure(6.4, 4.2)
    axes = figure.subplots()
    axes.scatter(sizes, iou, s=4, alpha=0.35)
    edges = np.geomspace(sizes.min(), sizes.max() * 1.001, 9)
    middles, means = [], []
    for low, high in zip(edges, islice(edges, 1, None), strict=False):
        inside = (sizes >= low) & (sizes < high)
        if inside.any():
            middles.append(float(np.sqrt(low * high)))
            means.append(float(iou[inside].mean()))
    axes.plot(middles, means, color="black", marker="o", label="mean")
    axes.set_xscale("log")
    axes.set_xticks([tick for tick in SIZE_TICKS if edges[0] <= tick <= edges[-1]])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("square root of the object's area, pixels")
    axes.set_ylabel("IoU, one click")
    axes.set_ylim(0, 1)
    axes.legend()
    return figure


def _calibration(figures: Mapping[str, Figures]) -> Figure:
    figure = _figure(4.6, 4.4)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    for name, of in figures.items():
        bins = of["calibration"].get("bins")
        if bins:
            axes.plot([b[0] for b in bins], [b[1] for b in bins], "o-", label=name)
    axes.set_xlabel("IoU that the model expects, one click")
    axes.set_ylabel("IoU")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(fontsize=7)
    return figure


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    # Without a canvas of its own a figure would open a window.
    FigureCanvasAgg(figure)
    return figure
