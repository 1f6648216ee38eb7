"""Pictures of learning curves: what a run's log says, over its steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from napari_sam.errors import TrainingError

PANEL_INCHES = (4.2, 3.4)


def draw_curves(logs: Mapping[str, Path], picture: Path) -> Sequence[str]:
    """Draw what runs have logged, a panel for each value, a line for each run.

    Parameters
    ----------
    logs
        Files that `TrainingLog` wrote, by what the run is called.
    picture
        The PNG to be written.

    Returns
    -------
    The values that were drawn, in the order of the panels; where none was logged there
    is no picture.

    Raises
    ------
    TrainingError
        A file that is no log.
    """
    runs = {name: _values(path) for name, path in logs.items()}
    names = list(dict.fromkeys(value for run in runs.values() for value in run))
    if not names:
        return []
    width, height = PANEL_INCHES
    figure = Figure(figsize=(width * len(names), height), layout="constrained")
    # Without a canvas of its own a figure would ask for a window.
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, value in zip(panels, names, strict=True):
        _draw_panel(panel, value, runs)
    figure.savefig(picture, dpi=110)
    return names


def _draw_panel(
    panel: Axes, value: str, runs: Mapping[str, Mapping[str, list[tuple[int, float]]]]
) -> None:
    for name, run in runs.items():
        if value in run:
            steps, values = zip(*run[value], strict=True)
            panel.plot(steps, values, marker="." if len(steps) < 50 else "", label=name)
    panel.set_xlabel("steps")
    panel.set_title(value.replace("_", " "), fontsize=10)
    panel.grid(alpha=0.3)
    if len(runs) > 1:
        panel.legend(fontsize=8)


def _values(log: Path) -> dict[str, list[tuple[int, float]]]:
    """Each logged value as (step, value)."""
    values: dict[str, list[tuple[int, float]]] = {}
    try:
        for line in log.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            step = int(entry.pop("step"))
            entry.pop("minutes", None)
            for name, value in entry.items():
                values.setdefault(name, []).append((step, float(value)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"{log} needs to be the log of a training run, a JSON object a line: "
            f"{error}."
        ) from error
    return values
