"""What is seen in a real JupyterLab: pixels, slides, stacks, layouts, controls."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_needs import MISSING, needs_browser
from widget_scene import BRIGHT, SQUARES, on_disk, pixel_of, write_slide

from napari_sam.labels import LabelStore

if not MISSING:
    from lab import Notebook, wait_until, write_notebook

pytestmark = needs_browser

CELLS = (
    "image = ns.open_image(stack(), contrast_limits=(0, 255))\n"
    'ns.SegmentWidget(image, "sharp.zarr", SquaresModel(), height=330).show();',
    'slide = ns.open_image("slide.ome.zarr", contrast_limits=(0, 255))\n'
    'ns.SegmentWidget(slide, "far.zarr", SquaresModel(), height=330).show();',
    "both = np.stack([stack()[0], 255 - stack()[0]])\n"
    'look = ns.SegmentWidget(both, "look.zarr", SquaresModel(), axes="cyx").show()',
    "many = np.stack([stack()] * 3)\n"
    'ns.SegmentWidget(many, "many.zarr", SquaresModel(), axes="tzyx").show();',
    "out = ipw.Output()\n"
    "with out:\n"
    '    display(ns.SegmentWidget(stack(), "out.zarr", SquaresModel(), height=250))\n'
    "out",
    "def segment(plane):\n"
    '    ns.SegmentWidget(stack()[plane], f"plane-{plane}.zarr", SquaresModel()).show()'
    "\nipw.interact(segment, plane=[0, 1]);",
    "class Waits(SquaresModel):\n"
    "    def predict(self, *given):\n"
    "        while not Path('go').exists():\n"
    "            sleep(0.05)\n"
    "        return super().predict(*given)\n"
    'ns.SegmentWidget(stack(), "waits.zarr", Waits(), height=250).show();',
    "Path('go').write_text('this cell did not have to wait')",
    'ns.SegmentWidget(stack(), "all.zarr", SquaresModel(0.01)).show();',
    "while not Path('free').exists():\n    sleep(0.05)",
    "import os\nPath('pid').write_text(str(os.getpid()))",
)
SHARP, SLIDE, LOOK, MANY, OUTPUT, INTERACT, WAITS, GO, EVERYTHING, BUSY, PID = range(11)


@pytest.fixture(scope="module")
def looking(lab_url: str, lab_folder: Path, browser: Any) -> Iterator[Notebook]:
    write_slide(lab_folder / "slide.ome.zarr")
    write_notebook(lab_folder / "looks.ipynb", CELLS)
    notebook = Notebook(browser, lab_url, "looks")
    notebook.run(-1)
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(looking: Notebook) -> Iterator[Notebook]:
    yield looking
    assert looking.elsewhere == []
    assert looking.errors == []


WHITE = """(canvas) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const rect = canvas.getBoundingClientRect();
    const found = [];
    for (let at = 0; at < width * height; at += 1) {
        if (data[4 * at] > 240) found.push(at);
    }
    const page = (at) => ({
        x: rect.left + ((at % width) + 0.5) * (rect.width / width),
        y: rect.top + (Math.floor(at / width) + 0.5) * (rect.height / height),
    });
    return [page(found[0]), page(found[found.length - 1])];
}"""
"""Where on the page the first and the last white pixel of the screen are."""


@pytest.mark.parametrize("ratio", [1, 2])
def test_the_pixel_that_is_clicked_is_the_pixel_that_arrives(
    lab_url: str, looking: Notebook, browser: Any, lab_folder: Path, ratio: int
) -> None:
    is_first = ratio == 1
    notebook = looking if is_first else Notebook(browser, lab_url, "looks", ratio)
    shown, labels = notebook.widget(SHARP), lab_folder / "sharp.zarr"
    assert shown.canvas.evaluate("canvas => devicePixelRatio") == ratio
    for zoom in (0.73, 1, 3.3, 24):
        shown.look_at(268.7, 349.1, zoom)
        # The 3 x 3 white pixels, as they are seen, from the first to the last.
        shown.wait_for_colour(271.5, 351.5, lambda rgba: rgba[0] > 240)
        corners = ((270, 350), (272, 352)) if zoom * ratio >= 1 else (None, None)
        for place, corner in zip(shown.canvas.evaluate(WHITE), corners, strict=True):
            notebook.page.mouse.click(place["x"], place["y"])
            wait_until(lambda: pixel_of(labels) is not None, "the click")
            y, x = pixel_of(labels) or (0, 0)
            assert corner is None or (y, x) == corner, f"at zoom {zoom}"
            assert 270 <= y < 273
            assert 350 <= x < 353
            notebook.page.keyboard.press("Escape")
            wait_until(lambda: pixel_of(labels) is None, "the discard")
            # Prompts are drawn in white, too.
            shown.says("0 objects")
            shown.look_at(268.7, 349.1, zoom)
    assert notebook.elsewhere == []
    assert notebook.errors == []
    if not is_first:
        notebook.close()


def test_a_slide_of_ten_thousand_million_pixels_pans_and_zooms(
    notebook: Notebook, lab_folder: Path
) -> None:
    shown, labels = notebook.widget(SLIDE), lab_folder / "far.zarr"
    shown.wait_for_colour(50_000, 50_000, lambda rgba: rgba[:3] == [60, 60, 60])
    # A hand that is in a hurry, to where nobody stays.
    for k in range(20):
        shown.look_at(4000 * k, 3000 * k, zoom=0.05 * (k + 1))
    y, x = (BRIGHT.y0 + BRIGHT.y1) / 2, (BRIGHT.x0 + BRIGHT.x1) / 2
    shown.look_at(y, x, zoom=1)
    shown.wait_for_colour(y, x, lambda rgba: rgba[:3] == [250, 250, 250])
    shown.wait_for_colour(y - 120, x, lambda rgba: rgba[:3] == [60, 60, 60])
    shown.click(y + 0.5, x + 0.5)
    shown.says("candidate 1 of 3")
    notebook.page.keyboard.press("Enter")
    shown.says("Object 1 is in the labels")
    with LabelStore.open(labels, mode="r") as store:
        assert (store.read((), BRIGHT.grow(50)) == 1).sum() == BRIGHT.area
        assert store.read((), BRIGHT).all()
    notebook.page.keyboard.press("0")
    shown.wait_for_colour(50_000, 50_000, lambda rgba: rgba[:3] == [60, 60, 60])


def test_opacity_outline_channel_and_contrast_change_what_is_seen(
    notebook: Notebook,
) -> None:
    shown, page = notebook.widget(LOOK), notebook.page
    shown.click(70, 70)
    shown.says("candidate 1 of 3")
    page.keyboard.press("Enter")
    shown.says("Object 1 is in the labels")
    shown.wait_for_colour(70, 70, lambda rgba: np.ptp(rgba[:3]) > 30)
    half = shown.colour(70, 70)
    shown.cell.get_by_role("slider", name="Opacity").focus()
    page.keyboard.press("End")
    shown.wait_for_colour(70, 70, lambda rgba: np.ptp(rgba[:3]) > np.ptp(half[:3]))
    full = shown.colour(70, 70)
    shown.cell.get_by_role("button", name="Outline").click()
    shown.wait_for_colour(70, 70, lambda rgba: rgba != full)
    assert shown.colour(99, 70) == full
    shown.cell.get_by_role("button", name="Hide").click()
    shown.wait_for_colour(99, 70, lambda rgba: rgba != full)
    shown.cell.get_by_label("Channel").select_option("0")
    shown.wait_for_colour(70, 230, lambda rgba: np.ptp(rgba[:3]) == 0)
    before = shown.colour(70, 230)
    shown.cell.get_by_role("slider", name="Contrast, to").focus()
    page.keyboard.press("End")
    shown.wait_for_colour(70, 230, lambda rgba: rgba[0] < before[0])


def test_each_axis_of_a_stack_has_its_slider(
    notebook: Notebook, lab_folder: Path
) -> None:
    shown, page = notebook.widget(MANY), notebook.page
    shown.cell.get_by_role("slider", name="t", exact=True).focus()
    page.keyboard.press("ArrowRight")
    shown.says("t 1 (0 to 2)")
    shown.canvas.focus()
    page.keyboard.press("PageDown")
    shown.says("z 1 (0 to 3)")
    page.keyboard.press("Shift+PageDown")
    shown.says("t 2 (0 to 2)")
    shown.click(70, 70)
    shown.says("candidate 1 of 3")
    page.keyboard.press("Enter")
    shown.says("Object 1 is in the labels")
    with LabelStore.open(lab_folder / "many.zarr", mode="r") as store:
        (found,) = store.objects()
    assert found.planes == ((2, 1),)


@pytest.mark.parametrize(
    ("cell", "labels"), [(OUTPUT, "out.zarr"), (INTERACT, "plane-0.zarr")]
)
def test_the_widget_works_inside_layouts(
    notebook: Notebook, lab_folder: Path, cell: int, labels: str
) -> None:
    shown = notebook.widget(cell)
    shown.click(70, 70)
    shown.says("candidate 1 of 3")
    notebook.page.keyboard.press("Enter")
    shown.says("Object 1 is in the labels")
    with LabelStore.open(lab_folder / labels, mode="r") as store:
        assert store.area(1) == SQUARES[0].area
    if cell == INTERACT:
        shown.cell.get_by_label("plane").select_option("1")
        shown.says("0 objects")


def test_other_cells_run_while_the_model_computes(notebook: Notebook) -> None:
    shown = notebook.widget(WAITS)
    shown.click(70, 70)
    shown.says("segmenting...")
    # The model goes on when this cell has run, and not before.
    notebook.run(GO)
    shown.says("candidate 1 of 3")


def test_a_click_that_is_made_while_a_cell_runs_is_answered(
    notebook: Notebook, lab_folder: Path
) -> None:
    shown = notebook.shown(WAITS)
    notebook.start(BUSY)
    notebook.page.locator(".jp-InputPrompt", has_text="[*]:").wait_for()
    shown.click(70, 80, modifiers=["Shift"])
    # Some kernels hear it at once, all of them when the cell is done.
    (lab_folder / "free").touch()
    notebook.ready()
    shown.says("candidate, score")


def test_a_kernel_that_says_nothing_is_explained_and_goes_on_with_the_click(
    notebook: Notebook, lab_folder: Path
) -> None:
    shown = notebook.shown(WAITS)
    hint = shown.root.get_by_text("The kernel does not answer")
    notebook.run(PID)
    pid = int((lab_folder / "pid").read_text())
    assert not hint.is_visible()
    os.kill(pid, signal.SIGSTOP)
    try:
        shown.click(70.5, 90.5, modifiers=["Shift"])
        hint.wait_for()
    finally:
        os.kill(pid, signal.SIGCONT)
    hint.wait_for(state="hidden")
    wait_until(lambda: pixel_of(lab_folder / "waits.zarr") == (70, 90), "the click")


def test_everything_is_segmented_with_a_bar_and_can_be_cancelled(
    notebook: Notebook, lab_folder: Path
) -> None:
    shown = notebook.widget(EVERYTHING)
    start = shown.cell.get_by_role("button", name="Segment everything")
    start.click()
    shown.cell.locator(".progress").wait_for()
    shown.cell.get_by_role("button", name="Cancel").click()
    shown.cell.get_by_text("Cancelled").wait_for()
    assert not on_disk(lab_folder / "all.zarr").any()
    start.click()

    def is_found() -> bool:
        found = on_disk(lab_folder / "all.zarr")[0]
        return all(found[box.slices].all() for box in SQUARES)

    wait_until(is_found, "an object in each square")
    shown.cell.locator(".progress").wait_for(state="hidden")


def test_a_lost_connection_comes_back_and_the_widget_goes_on(
    lab_url: str, browser: Any, lab_folder: Path
) -> None:
    cell = 'ns.SegmentWidget(stack(), "lost.zarr", SquaresModel(), height=330).show();'
    write_notebook(lab_folder / "lost.ipynb", [cell])
    notebook = Notebook(browser, lab_url, "lost", can_be_cut=True)
    notebook.run(-1)
    shown = notebook.widget(0)
    shown.click(70, 70)
    shown.says("candidate 1 of 3")
    notebook.cut()
    notebook.page.keyboard.press("Enter")
    shown.says("Object 1 is in the labels")
    shown.click(70, 230)
    shown.says("candidate 1 of 3")
    assert on_disk(lab_folder / "lost.zarr")[0, 70, 70] == 1
    assert notebook.elsewhere == []
    notebook.close()


NAMELESS = """(root) => {
    const parts =
        "button, select, input, [role=slider], [contenteditable=true], canvas";
    const nameOf = (part) => part.getAttribute("aria-label") || part.title ||
        [...(part.labels || [])].map((label) => label.textContent).join("") ||
        (part.tagName === "BUTTON" ? part.textContent : "");
    return [...root.querySelectorAll(parts)]
        .filter((part) => part.checkVisibility({ visibilityProperty: true }))
        .filter((part) => !nameOf(part).trim())
        .map((part) => part.outerHTML);
}"""


def test_every_control_has_a_name_and_tells_whether_it_is_down(
    notebook: Notebook,
) -> None:
    shown = notebook.shown(LOOK)
    around = shown.cell.locator(".nsam-widget")
    assert around.evaluate(NAMELESS) == []
    pick = shown.cell.get_by_role("group", name="Click").get_by_text("Pick")
    pick.focus()
    notebook.page.keyboard.press("Enter")
    shown.cell.get_by_role("button", name="Pick", pressed=True).wait_for()
    shown.cell.get_by_role("button", name="Point", pressed=False).wait_for()
    shown.cell.get_by_role("button", name="Point").click()


CONTRAST = """(part) => {
    const light = (text) => {
        const rgb = text.match(/[\\d.]+/g).slice(0, 3).map((n) => {
            const part = n / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
    };
    const isSeen = (text) => !/, 0\\)$|transparent/.test(text);
    let ground = part;
    while (!isSeen(getComputedStyle(ground).backgroundColor)) {
        ground = ground.parentElement;
    }
    const a = light(getComputedStyle(part).color);
    const b = light(getComputedStyle(ground).backgroundColor);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""
"""How much lighter or darker a text is than what is behind it, 1 to 21."""


@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_texts_can_be_read_in_light_and_dark(notebook: Notebook, theme: str) -> None:
    notebook.command("apputils:change-theme", {"theme": theme})
    is_light = str("Light" in theme).lower()
    notebook.page.locator(f"body[data-jp-theme-light='{is_light}']").wait_for(
        state="attached"
    )
    root = notebook.shown(LOOK).root
    for part in (".nsam-status", "summary"):
        assert root.locator(part).evaluate(CONTRAST) >= 4.5
