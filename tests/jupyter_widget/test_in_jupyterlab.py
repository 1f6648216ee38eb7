"""The widget in a real JupyterLab and a real browser, up to the labels on disk."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from widget_scene import SHAPE, SQUARES, on_disk

from napari_sam.tiling.labels import LabelStore

MISSING = [
    name
    for name in ("jupyterlab", "ipykernel", "playwright", "anywidget")
    if importlib.util.find_spec(name) is None
]
if not (which("chromium") or which("chromium-browser")):
    MISSING.append("chromium")
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"a browser test needs {', '.join(MISSING)}"
)

if not MISSING:
    from lab import Notebook, Shown, chromium, jupyter_lab, wait_until, write_notebook

CELLS = (
    'ns.SegmentWidget(stack(), "first.zarr", SquaresModel(), height=330).show();',
    'a = ns.SegmentWidget(stack(), "left.zarr", SquaresModel(), height=250)\n'
    'b = ns.SegmentWidget(stack(), "right.zarr", SquaresModel(), height=250)\n'
    "ipw.HBox([a, b])",
    'ns.SegmentWidget(stack(), "slow.zarr", SquaresModel(0.03), height=330).show();',
    "image = ns.open_image(stack(), contrast_limits=(0, 255))\n"
    'ns.SegmentWidget(image, "sharp.zarr", SquaresModel(), height=330).show();',
    'ns.SegmentWidget(stack(), "bad.zarr", SquaresModel(is_broken=True)).show();',
)
FIRST, TWO, SLOW, SHARP, BROKEN = range(5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def url(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    write_notebook(folder / "all.ipynb", CELLS)
    with jupyter_lab(folder, tmp_path_factory.mktemp("lab")) as served:
        yield served


@pytest.fixture(scope="module")
def opened(url: str, browser: object) -> Iterator[Notebook]:
    notebook = Notebook(browser, url, "all")
    notebook.run(-1)
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened: Notebook) -> Iterator[Notebook]:
    yield opened
    assert opened.elsewhere == []
    assert opened.errors == []


def wait_for_objects(labels: Path, count: int) -> None:
    wait_until(
        lambda: len(np.unique(on_disk(labels))) == count + 1,
        f"{count} objects in {labels.name}",
    )


def test_a_click_and_enter_write_the_object_and_undo_takes_it_back(
    notebook: Notebook, folder: Path
) -> None:
    shown, labels = notebook.widget(FIRST), folder / "first.zarr"
    shown.click(70, 70)
    shown.says("candidate 1 of 3")
    notebook.page.keyboard.press("Enter")
    shown.says("Object 1 is in the labels")
    found = on_disk(labels)[0]
    assert found[SQUARES[0].slices].all()
    assert np.count_nonzero(found) == SQUARES[0].area
    shown.wait_for_colour(70, 70, lambda rgba: max(rgba[:3]) - min(rgba[:3]) > 20)
    notebook.page.keyboard.press("Control+z")
    wait_for_objects(labels, 0)
    shown.says("candidate 1 of 3")
    notebook.page.keyboard.press("Control+Shift+z")
    wait_for_objects(labels, 1)


def test_a_dragged_box_a_negative_click_and_another_candidate_arrive(
    notebook: Notebook, folder: Path
) -> None:
    shown, labels = notebook.shown(FIRST), folder / "first.zarr"
    shown.drag(30, 190, 110, 270)
    shown.says("candidate, score")
    shown.click(70, 245, modifiers=["Shift"])
    shown.click(70, 235, button="right")
    notebook.page.keyboard.press("Enter")
    shown.says("Object 2 is in the labels")
    found = on_disk(labels)[0]
    assert found[70, 234] == 2
    assert found[70, 236] == 0
    shown.click(190, 90)
    shown.says("candidate 1 of 3")
    notebook.page.keyboard.press("3")
    shown.says("candidate 3 of 3")
    shown.cell.get_by_role("button", name="Accept").click()
    shown.says("Object 3 is in the labels")
    box = SQUARES[2]
    assert (on_disk(labels)[0] == 3).sum() == (box.y1 - box.y0 + 16) ** 2


def test_the_slider_shows_another_plane_and_clicks_go_there(
    notebook: Notebook, folder: Path
) -> None:
    shown, labels = notebook.shown(FIRST), folder / "first.zarr"
    shown.cell.get_by_role("slider").first.focus()
    notebook.page.keyboard.press("ArrowRight")
    notebook.page.keyboard.press("ArrowRight")
    shown.says("z 3 of 4")
    shown.click(210, 270)
    shown.says("candidate 1 of 3")
    notebook.page.keyboard.press("Enter")
    shown.says("Object 4 is in the labels")
    found = on_disk(labels)
    assert (found[2] == 4).sum() == SQUARES[3].area
    assert not (found[[0, 1, 3]] == 4).any()
    notebook.page.keyboard.press("PageUp")
    shown.says("z 2 of 4")


def test_an_object_can_be_picked_and_deleted(notebook: Notebook, folder: Path) -> None:
    shown, labels = notebook.shown(FIRST), folder / "first.zarr"
    notebook.page.keyboard.press("PageUp")
    shown.says("z 1 of 4")
    shown.click(190, 90, modifiers=["Control"])
    shown.says("changing object 3")
    notebook.page.keyboard.press("Delete")
    wait_until(lambda: not (on_disk(labels) == 3).any(), "object 3 gone")


def test_the_mask_under_the_mouse_is_shown_before_any_click(
    notebook: Notebook,
) -> None:
    shown = notebook.shown(FIRST)
    shown.canvas.focus()
    notebook.page.keyboard.press("p")
    gray = shown.colour(210, 285)
    shown.canvas.hover(position=shown.place(210, 270))
    shown.wait_for_colour(210, 285, lambda rgba: rgba != gray)
    notebook.page.keyboard.press("p")
    shown.wait_for_colour(210, 285, lambda rgba: rgba == gray)


def test_keys_on_the_canvas_do_nothing_to_the_notebook(notebook: Notebook) -> None:
    shown = notebook.shown(FIRST)
    cells = notebook.page.locator(".jp-Notebook .jp-Cell")
    before = cells.count()
    shown.canvas.focus()
    for key in ("d", "d", "x", "a", "b", "m", "Escape", "Enter", "z"):
        notebook.page.keyboard.press(key)
    shown.complains("nothing to accept")
    assert cells.count() == before
    assert notebook.page.locator(".jp-MarkdownCell").count() == 0


def test_the_keyboard_alone_is_enough(notebook: Notebook, folder: Path) -> None:
    shown, labels = notebook.shown(FIRST), folder / "first.zarr"
    shown.canvas.evaluate("canvas => canvas.nsamLook({ y: 60, x: 210, zoom: 2 })")
    shown.canvas.hover(position={"x": 1, "y": 1})
    notebook.page.mouse.move(0, 0)
    shown.canvas.focus()
    for key in ("ArrowDown", "ArrowRight", "Space"):
        notebook.page.keyboard.press(key)
    wait_until(lambda: pixel_of(labels) == (64, 214), "a click at the cross")
    notebook.page.keyboard.press("Escape")
    wait_until(lambda: pixel_of(labels) is None, "the discard")
    notebook.page.keyboard.press("b")
    for _ in range(5):
        notebook.page.keyboard.press("ArrowDown")
        notebook.page.keyboard.press("ArrowRight")
    notebook.page.keyboard.press("b")
    shown.says("candidate, score")
    notebook.page.keyboard.press("Escape")
    notebook.page.keyboard.press("0")
    notebook.page.keyboard.press("Tab")
    assert not shown.canvas.evaluate("canvas => canvas === document.activeElement")


FINGERS = """(canvas, [type, fingers]) => {
    const rect = canvas.getBoundingClientRect();
    fingers.forEach(([id, x, y]) => canvas.dispatchEvent(new PointerEvent(type, {
        pointerType: "touch", pointerId: id, bubbles: true,
        clientX: rect.left + x, clientY: rect.top + y,
    })));
}"""


def test_a_tap_clicks_a_long_press_says_no_and_two_fingers_zoom(
    notebook: Notebook, folder: Path
) -> None:
    shown, labels = notebook.shown(FIRST), folder / "first.zarr"

    def touch(kind: str, *fingers: tuple[int, float, float]) -> None:
        shown.canvas.evaluate(FINGERS, [f"pointer{kind}", fingers])

    at = shown.place(70.5, 230.5)
    touch("down", (7, at["x"], at["y"]))
    touch("up", (7, at["x"], at["y"]))
    wait_until(lambda: pixel_of(labels) == (70, 230), "the tap")
    at = shown.place(80.5, 250.5)
    touch("down", (7, at["x"], at["y"]))
    wait_until(lambda: pixel_of(labels) == (80, 250), "the long press")
    touch("up", (7, at["x"], at["y"]))
    shown.says("candidate, score")
    zoom = shown.canvas.evaluate("canvas => canvas.nsamView.zoom")
    touch("down", (7, 200, 100), (8, 260, 100))
    touch("move", (8, 320, 100))
    touch("up", (7, 200, 100), (8, 320, 100))
    assert shown.canvas.evaluate("canvas => canvas.nsamView.zoom") == pytest.approx(
        2 * zoom
    )
    shown.canvas.focus()
    notebook.page.keyboard.press("Escape")
    notebook.page.keyboard.press("0")
    wait_until(lambda: pixel_of(labels) is None, "the discard")


def test_two_widgets_beside_each_other_keep_apart(
    notebook: Notebook, folder: Path
) -> None:
    left = notebook.widget(TWO)
    right = Shown(left.cell, 1)
    left.click(70, 70)
    left.says("candidate 1 of 3")
    right.click(70, 230)
    right.says("candidate 1 of 3")
    notebook.page.keyboard.press("Enter")
    right.says("Object 1 is in the labels")
    assert not on_disk(folder / "left.zarr").any()
    left.canvas.focus()
    notebook.page.keyboard.press("Enter")
    left.says("Object 1 is in the labels")
    assert on_disk(folder / "left.zarr")[0, 70, 70] == 1
    assert on_disk(folder / "right.zarr")[0, 70, 230] == 1
    assert on_disk(folder / "right.zarr")[0, 70, 70] == 0


def test_twenty_fast_clicks_on_a_slow_model_all_count(
    notebook: Notebook, folder: Path
) -> None:
    shown, labels = notebook.widget(SLOW), folder / "slow.zarr"
    spots = [(box.y0 + 10 * k, box.x0 + 10 * k) for k in range(1, 6) for box in SQUARES]
    places = [shown.place(y + 0.5, x + 0.5) for y, x in spots]
    shown.canvas.evaluate(
        """(canvas, places) => {
            const rect = canvas.getBoundingClientRect();
            for (const { x, y } of places) {
                const at = { clientX: rect.left + x, clientY: rect.top + y,
                             pointerId: 1, button: 0, bubbles: true };
                canvas.dispatchEvent(new PointerEvent("pointerdown", at));
                canvas.dispatchEvent(new PointerEvent("pointerup", at));
            }
        }""",
        places,
    )
    notebook.page.keyboard.press("Enter")
    shown.says("Object 1 is in the labels")
    with LabelStore.open(labels, mode="r") as store:
        (record,) = store.records()
    assert len(record.record["prompts"]["points"]) == 20
    found = on_disk(labels)[0]
    assert all(found[box.slices].all() for box in SQUARES)


def test_errors_are_shown_in_plain_words(notebook: Notebook) -> None:
    shown = notebook.widget(BROKEN)
    shown.click(70, 70)
    shown.complains("no memory left on the device")


def test_a_reload_goes_on_where_it_was(notebook: Notebook, folder: Path) -> None:
    shown = notebook.shown(SLOW)
    shown.click(70, 70)
    shown.says("candidate 1 of 3")
    notebook.page.keyboard.press("Control+s")
    notebook.page.wait_for_timeout(500)
    notebook.page.reload()
    notebook.ready()
    shown = notebook.shown(SLOW)
    shown.says("candidate 1 of 3")
    shown.wait_for_colour(190, 90, lambda rgba: max(rgba[:3]) - min(rgba[:3]) > 20)
    shown.canvas.focus()
    notebook.page.keyboard.press("Escape")
    shown.click(70.5, 230.5)
    wait_until(lambda: pixel_of(folder / "slow.zarr") == (70, 230), "the click")


def test_a_saved_notebook_without_its_kernel_shows_a_picture_and_a_hint(
    notebook: Notebook, url: str, browser: object, folder: Path
) -> None:
    # The picture follows the widget once it rests.
    notebook.page.wait_for_timeout(2500)
    assert not notebook.page.locator(".napari-sam-still").first.is_visible()
    notebook.page.keyboard.press("Control+s")
    notebook.page.wait_for_timeout(500)
    saved = (folder / "all.ipynb").read_text()
    (folder / "copy.ipynb").write_text(saved)
    copy = Notebook(browser, url, "copy")
    picture = copy.page.locator(".napari-sam-still img").first
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") == SHAPE[1]
    copy.page.get_by_text("Run the cell again").first.wait_for()
    colours = picture.evaluate(COLOURED)
    assert colours > 1000, "the accepted objects are coloured in the picture"
    assert copy.elsewhere == []
    copy.close()


def test_a_restarted_kernel_goes_on_from_the_labels_on_disk(
    notebook: Notebook, folder: Path
) -> None:
    before = on_disk(folder / "first.zarr")
    notebook.page.locator(".jp-Notebook .jp-InputPrompt").first.click()
    notebook.page.keyboard.press("0")
    notebook.page.keyboard.press("0")
    notebook.page.locator(".jp-Dialog button.jp-mod-accept").click()
    notebook.page.wait_for_timeout(1000)
    notebook.ready()
    notebook.run(-1)
    shown = notebook.widget(FIRST)
    shown.says("3 objects")
    assert np.array_equal(on_disk(folder / "first.zarr"), before)
    shown.canvas.focus()
    notebook.page.keyboard.press("Control+z")
    shown.says("4 objects")


COLOURED = """(image) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
        const rgb = [data[at], data[at + 1], data[at + 2]];
        if (Math.max(...rgb) - Math.min(...rgb) > 30) count += 1;
    }
    return count;
}"""
"""How many pixels of a picture are not gray."""

BRIGHT = """(canvas) => {
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
"""Where on the page the first and the last bright pixel of the screen are."""


@pytest.mark.parametrize("ratio", [1, 2])
def test_the_pixel_that_is_clicked_is_the_pixel_that_arrives(
    url: str, opened: Notebook, browser: object, folder: Path, ratio: int
) -> None:
    notebook = opened if ratio == 1 else Notebook(browser, url, "all", ratio)
    shown, labels = notebook.widget(SHARP), folder / "sharp.zarr"
    assert shown.canvas.evaluate("canvas => devicePixelRatio") == ratio
    for zoom in (0.73, 1, 3.3, 24):
        shown.canvas.evaluate(
            "(canvas, zoom) => canvas.nsamLook({ y: 268.7, x: 349.1, zoom })", zoom
        )
        # The 3 x 3 bright pixels, as they are seen, from the first to the last.
        shown.wait_for_colour(271.5, 351.5, lambda rgba: rgba[0] > 240)
        corners = ((270, 350), (272, 352)) if zoom * ratio >= 1 else (None, None)
        for place, corner in zip(shown.canvas.evaluate(BRIGHT), corners, strict=True):
            notebook.page.mouse.click(place["x"], place["y"])
            wait_until(lambda: pixel_of(labels) is not None, "the click")
            y, x = pixel_of(labels) or (0, 0)
            assert corner is None or (y, x) == corner, f"at zoom {zoom}"
            assert 270 <= y < 273
            assert 350 <= x < 353
            notebook.page.keyboard.press("Escape")
            wait_until(lambda: pixel_of(labels) is None, "the discard")
    assert notebook.elsewhere == []
    assert notebook.errors == []


def pixel_of(labels: Path) -> tuple[int, int] | None:
    """The pixel of the last click, as the journal has it; None: nothing is said."""
    with LabelStore.open(labels, mode="r") as store:
        drafts = [e.data for e in store.journal.entries() if e.kind == "draft"]
    if not drafts or not drafts[-1]["prompts"]:
        return None
    y, x, _ = drafts[-1]["prompts"][-1]["points"][0]
    return int(y), int(x)


def test_the_scene_has_what_the_tests_click_on() -> None:
    assert SHAPE == (300, 400)
    assert len({(box.y0, box.x0) for box in SQUARES}) == 4
