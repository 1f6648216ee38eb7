"""Ordinary ipywidgets around the canvas: everything that a hand can do with labels.

What is changed here becomes a command; the state is drawn here, without being taken for
another change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import local
from typing import Any

import ipywidgets as ipw

from napari_sam.annotator import AnnotatorState, Command, commands
from napari_sam.jupyter_widget.automatic_row import AutomaticRow
from napari_sam.jupyter_widget.messages import COMMANDS, DisplayChanged

TOOLS = (
    ("Point", "prompt"),
    ("Not this", "exclude"),
    ("Move", "pan"),
    ("Pick", "pick"),
)
STYLES = (("Fill", "fill"), ("Outline", "outline"), ("Hide", "off"))
BUTTONS = (
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
    post
        Called with the commands of buttons.

    Attributes
    ----------
    above, below
        Where they go.
    """

    def __init__(
        self,
        axes: str,
        counts: tuple[int, ...],
        post: Callable[[Command], None],
    ) -> None:
        self._drawing = local()
        self.tool = _choice("Click", TOOLS, _TOOL_TIPS)
        self.buttons = {
            name: _button(text, tip, style, partial(post, COMMANDS[name]))
            for text, name, tip, style in BUTTONS
        }
        self.candidates = _candidates(post)
        self.sliders = _sliders(axes, counts)
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
        self.automatic = AutomaticRow(post, has_stack=any(n > 1 for n in counts))
        for part in (self.channel, *self.ranges):
            part.layout.display = "none"
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = ipw.HBox(list(self.buttons.values()), layout=WRAP)
        self.above = ipw.VBox(
            [
                ipw.HBox([self.tool, buttons], layout=WRAP),
                ipw.HBox([*self.candidates, *self.sliders], layout=WRAP),
            ]
        )
        self.below = ipw.VBox(
            [
                ipw.HBox([self.labels, self.opacity, self.preview], layout=WRAP),
                ipw.HBox([self.channel, *self.ranges], layout=WRAP),
                self.automatic.box,
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

    def draw(self, state: AnnotatorState, *, moves_sliders: bool) -> None:
        """Show a state."""
        with self.drawing():
            has_more = bool(state.candidates) or state.is_pending
            self.buttons["accept"].disabled = not has_more
            self.buttons["discard"].disabled = not state.prompts
            self.buttons["undo"].disabled = not state.can_undo
            self.buttons["redo"].disabled = not state.can_redo
            self.buttons["delete"].disabled = state.target is None
            if moves_sliders:
                for slider, index in zip(self.sliders, state.plane, strict=True):
                    slider.value = index
            scores = [candidate.score for candidate in state.candidates]
            self._draw_candidates(scores, state.chosen)
            self.automatic.draw(state.run)

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

    def change_display(self, change: DisplayChanged) -> None:
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


def _button(text: str, tip: str, style: str, act: Callable[[], None]) -> ipw.Button:
    button = ipw.Button(
        description=text,
        tooltip=tip,
        button_style=style,
        layout=ipw.Layout(width="auto"),
    )
    button.on_click(lambda _: act())
    return button


def _candidates(post: Callable[[Command], None]) -> tuple[ipw.Button, ...]:
    buttons = tuple(
        _button("", f"Take candidate {i + 1} (key {i + 1})", "", partial(post, take))
        for i, take in enumerate(map(commands.Choose, range(MOST_CANDIDATES)))
    )
    for button in buttons:
        # The space stays, lest the canvas jumps under a hand that has just clicked.
        button.layout = ipw.Layout(width="96px", visibility="hidden")
    return buttons


def _sliders(axes: str, counts: tuple[int, ...]) -> tuple[ipw.IntSlider, ...]:
    return tuple(
        ipw.IntSlider(0, 0, max(count - 1, 0), description=axis, continuous_update=True)
        for axis, count in zip(axes, counts, strict=True)
    )
