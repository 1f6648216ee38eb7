"""Ordinary ipywidgets around the canvas: everything that a hand can do with labels.

What is changed here is posted to the desk; what the desk says is drawn here, without
being taken for another change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import local
from typing import Any

import ipywidgets as ipw

from napari_sam.jupyter_widget.messages import Command, Displayed

TOOLS = (
    ("Point", "prompt"),
    ("Not this", "exclude"),
    ("Move", "pan"),
    ("Pick", "pick"),
)
STYLES = (("Fill", "fill"), ("Outline", "outline"), ("Hide", "off"))
COMMANDS: tuple[tuple[str, Command, str, str], ...] = (
    ("Accept", "accept", "Write the object into the labels (Enter)", "success"),
    ("Discard", "discard", "Drop the prompts (Escape)", ""),
    ("Undo", "undo", "Take back the last step (Ctrl+Z)", ""),
    ("Redo", "redo", "Do it again (Ctrl+Shift+Z)", ""),
    ("Delete", "delete", "Delete the object that was picked (Delete)", "danger"),
)
WRAP = ipw.Layout(flex_flow="row wrap", align_items="center")
MOST_RANGES = 3
MOST_CANDIDATES = 3


class Controls:
    """The widgets above and below the canvas.

    Parameters
    ----------
    axes, counts
        Of the stack.
    command
        Called with the command of a button.
    choose
        Called with the index of a candidate.

    Attributes
    ----------
    above, below
        Where they go.
    """

    def __init__(
        self,
        axes: str,
        counts: tuple[int, ...],
        command: Callable[[Command], None],
        choose: Callable[[int], None],
    ) -> None:
        self._drawing = local()
        self.tool = _choice("Click", TOOLS, _TOOL_TIPS)
        self.buttons = {
            name: _button(text, tip, look, partial(command, name))
            for text, name, tip, look in COMMANDS
        }
        self.candidates = tuple(
            _button("", f"Take candidate {i + 1} (key {i + 1})", "", partial(choose, i))
            for i in range(MOST_CANDIDATES)
        )
        self.sliders = tuple(
            ipw.IntSlider(
                0, 0, max(count - 1, 0), description=axis, continuous_update=True
            )
            for axis, count in zip(axes, counts, strict=True)
        )
        self.channel = ipw.Dropdown(description="Channel")
        self.ranges = tuple(
            ipw.FloatRangeSlider(description="Contrast", continuous_update=False)
            for _ in range(MOST_RANGES)
        )
        self.labels = _choice("Labels", STYLES)
        self.opacity = ipw.FloatSlider(
            0.5, min=0, max=1, step=0.05, description="Opacity"
        )
        self.preview = ipw.Checkbox(description="Preview under the mouse", indent=False)
        self.everything = AutomaticRow()
        for part in (self.channel, *self.ranges):
            part.layout.display = "none"
        for part in self.candidates:
            # The place stays, lest the canvas jumps under a hand that has just clicked.
            part.layout = ipw.Layout(width="96px", visibility="hidden")
        commands = ipw.HBox(list(self.buttons.values()), layout=WRAP)
        self.above = ipw.VBox(
            [
                ipw.HBox([self.tool, commands], layout=WRAP),
                ipw.HBox([*self.candidates, *self.sliders], layout=WRAP),
            ]
        )
        self.below = ipw.VBox(
            [
                ipw.HBox([self.labels, self.opacity, self.preview], layout=WRAP),
                ipw.HBox([self.channel, *self.ranges], layout=WRAP),
                self.everything.box,
            ]
        )

    def on_user(self, part: ipw.Widget, act: Callable[[Any], None]) -> None:
        """Call this with a widget's new value where the user has changed it."""

        def changed(change: dict[str, Any]) -> None:
            if not getattr(self._drawing, "is_on", False):
                act(change["new"])

        part.observe(changed, names="value")

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """What is changed in here is not the user's doing."""
        self._drawing.is_on = True
        try:
            yield
        finally:
            self._drawing.is_on = False

    def draw(self, state: dict[str, Any], *, moves_sliders: bool) -> None:
        """Show a state."""
        with self.drawing():
            self.buttons["accept"].disabled = not (state["scores"] or state["pending"])
            self.buttons["discard"].disabled = not state["prompts"]
            self.buttons["undo"].disabled = not state["canUndo"]
            self.buttons["redo"].disabled = not state["canRedo"]
            self.buttons["delete"].disabled = state["target"] is None
            if moves_sliders:
                for slider, place in zip(self.sliders, state["plane"], strict=True):
                    slider.value = place
            self._draw_candidates(state["scores"], state["chosen"])

    def draw_ranges(
        self, ranges: tuple[tuple[float, float], ...], bounds: tuple[float, float]
    ) -> None:
        """Show a slider for each channel, between these bounds."""
        with self.drawing():
            for index, slider in enumerate(self.ranges):
                is_shown = index < len(ranges)
                slider.layout.display = "" if is_shown else "none"
                if not is_shown:
                    continue
                low = min(bounds[0], ranges[index][0])
                high = max(bounds[1], ranges[index][1], low + 1e-6)
                # In an order in which min is never above max.
                slider.max = max(high, slider.max)
                slider.min, slider.max = low, high
                slider.step = (high - low) / 256
                slider.readout_format = ".0f" if high - low > 16 else ".3g"
                slider.value = ranges[index]
                which = f" {'RGB'[index]}" if len(ranges) > 1 else ""
                slider.description = f"Contrast{which}"

    def offer_channels(self, count: int, shown: tuple[int, ...]) -> None:
        """Let the user choose among channels."""
        options: list[tuple[str, tuple[int, ...]]] = []
        if len(shown) > 1:
            names = ", ".join(str(c) for c in shown)
            options.append((f"{names} together", shown))
        options += [(f"{channel}", (channel,)) for channel in range(count)]
        with self.drawing():
            self.channel.options = options
            self.channel.value = shown
            self.channel.layout.display = ""

    def _draw_candidates(self, scores: list[float], chosen: int) -> None:
        for index, part in enumerate(self.candidates):
            is_shown = len(scores) > 1 and index < len(scores)
            part.layout.visibility = "visible" if is_shown else "hidden"
            if is_shown:
                mark = " \N{CHECK MARK}" if index == chosen else ""
                part.description = f"{index + 1}: {scores[index]:.2f}{mark}"
                part.button_style = "info" if index == chosen else ""

    def change_display(self, change: Displayed) -> None:
        """Take over what a key in the browser has changed."""
        if change.tool is not None:
            self.tool.value = change.tool
        if change.labels is not None:
            self.labels.value = change.labels
        if change.preview is not None:
            self.preview.value = change.preview

    def display(self) -> dict[str, Any]:
        """How things are shown, for the canvas."""
        return {
            "tool": self.tool.value,
            "labels": self.labels.value,
            "opacity": self.opacity.value,
            "preview": self.preview.value,
        }


class AutomaticRow:
    """A button to segment everything, a bar, and Cancel."""

    def __init__(self) -> None:
        self.scope = ipw.Dropdown(
            options=[("in view", "view"), ("in the whole plane", "plane")],
            description="Where",
            style={"description_width": "initial"},
            layout=ipw.Layout(width="auto"),
        )
        self.start = ipw.Button(
            description="Segment everything",
            layout=ipw.Layout(width="auto"),
            tooltip="Find every object; pixels that have one already keep it",
        )
        self.cancel = ipw.Button(
            description="Cancel", tooltip="Stop; what is found stays"
        )
        self.bar = ipw.IntProgress(0, 0, 1, description="")
        self.said = ipw.Label("")
        self.box = ipw.HBox(
            [self.start, self.scope, self.cancel, self.bar, self.said], layout=WRAP
        )
        self.show(is_running=False)

    def show(self, *, is_running: bool) -> None:
        """Offer to start, or to cancel."""
        self.start.disabled = is_running
        for part in (self.cancel, self.bar):
            part.layout.display = "" if is_running else "none"

    def progress(self, done: int, count: int, text: str) -> None:
        """Show how far it is."""
        self.bar.max = max(count, 1)
        self.bar.value = done
        self.said.value = text


_TOOL_TIPS = (
    "Click on an object, or drag a box around it",
    "Click on what is not the object",
    "Drag moves the view",
    "Click on an object that is accepted, to change or delete it",
)


def _choice(
    text: str, options: tuple[tuple[str, Any], ...], tips: tuple[str, ...] = ()
) -> ipw.ToggleButtons:
    return ipw.ToggleButtons(
        options=options,
        description=f"{text} ",
        tooltips=tips,
        style={"button_width": "auto", "description_width": "initial"},
        layout=ipw.Layout(width="auto", display="flex", flex_flow="row nowrap"),
    )


def _button(text: str, tip: str, look: str, act: Callable[[], None]) -> ipw.Button:
    button = ipw.Button(
        description=text,
        tooltip=tip,
        button_style=look,
        layout=ipw.Layout(width="auto"),
    )
    button.on_click(lambda _: act())
    return button
