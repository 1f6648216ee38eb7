"""The row below the canvas that segments everything: where, how far it is."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets as ipw

from napari_sam.annotator import Command, RunState, Where, commands

PLACES = (
    ("in view", Where.VIEW),
    ("in the whole plane", Where.PLANE),
    ("in all planes", Where.STACK),
)
MOST_SIZE = 100_000  # pixels


class AutomaticRow:
    """Buttons, a bar and the text of a run.

    Parameters
    ----------
    post
        Called with the commands of buttons.
    has_stack
        Whether there is more than one plane.
    """

    def __init__(self, post: Callable[[Command], None], *, has_stack: bool) -> None:
        self._post = post
        self.where = ipw.Dropdown(
            options=PLACES if has_stack else PLACES[:2],
            description="Where",
            style={"description_width": "initial"},
            layout=ipw.Layout(width="auto"),
        )
        self.size = ipw.BoundedIntText(
            0,
            min=0,
            max=MOST_SIZE,
            description="Object size",
            tooltip="Side of a typical object, in pixels; 0: estimated",
            style={"description_width": "initial"},
            layout=ipw.Layout(width="160px"),
        )
        self.start = _button(
            "Segment everything",
            "Find every object; pixels that have one already keep it",
        )
        self.go_on = _button("Continue", "Go on with the run that was left unfinished")
        self.cancel = _button("Cancel", "Stop; what was found is kept")
        self.bar = ipw.IntProgress(0, 0, 1, description="")
        self.text = ipw.HTML("")
        self.start.on_click(lambda _: self._start())
        self.go_on.on_click(lambda _: post(commands.ContinueRun()))
        self.cancel.on_click(lambda _: post(commands.CancelRun()))
        row = ipw.HBox(
            [
                self.start,
                self.where,
                self.size,
                self.go_on,
                self.cancel,
                self.bar,
            ],
            layout=ipw.Layout(flex_flow="row wrap", align_items="center"),
        )
        self.box = ipw.VBox([row, self.text])
        self.draw(RunState())

    def draw(self, run: RunState) -> None:
        """Show how far a run is, and offer what can be done with it."""
        self.start.disabled = run.is_running
        for part in (self.cancel, self.bar):
            part.layout.display = "" if run.is_running else "none"
        self.go_on.layout.display = "" if run.can_continue else "none"
        self.bar.max = max(run.count, 1)
        self.bar.value = run.done
        lines = "<br>".join(escape(line) for line in run.text.splitlines())
        self.text.value = lines

    def _start(self) -> None:
        self._post(
            commands.StartRun(self.where.value, object_size=self.size.value or None)
        )


def _button(text: str, tip: str) -> ipw.Button:
    return ipw.Button(description=text, tooltip=tip, layout=ipw.Layout(width="auto"))
