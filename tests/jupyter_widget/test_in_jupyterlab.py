"""The widget in a real JupyterLab and a real browser, up to the labels on disk."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_needs import MISSING, needs_browser
from PIL import Image as Picture
from widget_scene import SHAPE, SQUARES, on_disk, pixel_of

from napari_sam.labels import LabelStore

if not MISSING:
    from lab import Notebook, Shown, wait_until, write_notebook

pytestmark = needs_browser

CELLS = (
    'ns.SegmentWidget(stack(), "first.zarr", SquaresModel(), height=330).show();',
    'a = ns.SegmentWidget(stack(), "left.zarr", SquaresModel(), height=250)\n'
    'b = ns.SegmentWidget(stack(), "right.zarr", SquaresModel(), height=250)\n'
    "ipw.HBox([a, b])",
    'ns.SegmentWidget(stack(), "slow.zarr", SquaresModel(0.03), height=330).show();',
    'ns.SegmentWidget(stack(), "bad.zarr", SquaresModel(is_broken=True)).show();',
)
FIRST, TWO, SLOW, BROKEN = range(4)


@pytest.fixture(scope="module")
def opened(lab_url: str, lab_folder: Path, browser: Any) -> Iterator[Notebook]:
    write_notebook(lab_folder / "all.ipynb", CELLS)
    notebook = Notebook(browser, lab_url, "all")
    notebook.run(-1)
    yield notebook
    notebook.close()


@pytest.fixture
def folder(lab_folder: Path) -> Path:
    return lab_folder


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
    shown.says("z 2 (0 to 3)")
    shown.click(210, 270)
    shown.says("candidate 1 of 3")
    notebook.page.keyboard.press("Enter")
    shown.says("Object 4 is in the labels")
    found = on_disk(labels)
    assert (found[2] == 4).sum() == SQUARES[3].area
    assert not (found[[0, 1, 3]] == 4).any()
    notebook.page.keyboard.press("PageUp")
    shown.says("z 1 (0 to 3)")


def test_an_object_can_be_picked_and_deleted(notebook: Notebook, folder: Path) -> None:
    shown, labels = notebook.shown(FIRST), folder / "first.zarr"
    notebook.page.keyboard.press("PageUp")
    shown.says("z 0 (0 to 3)")
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
    gray = [255, 255, 255, 255]
    shown.wait_for_colour(210, 285, lambda rgba: rgba == gray)
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
    shown.look_at(60, 210, zoom=2)
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
    wait_until(lambda: pixel_of(labels) is None, "the discard")
    notebook.page.keyboard.press("0")
    notebook.page.keyboard.press("Tab")
    assert not shown.canvas.evaluate("canvas => canvas === document.activeElement")


def test_escape_gives_up_a_corner_and_its_cross(
    notebook: Notebook, folder: Path
) -> None:
    shown, labels = notebook.shown(FIRST), folder / "first.zarr"
    shown.canvas.focus()
    for key in ("b", "ArrowDown", "Escape"):
        notebook.page.keyboard.press(key)
    shown.canvas.hover(position=shown.place(210.5, 270.5))
    shown.canvas.focus()
    notebook.page.keyboard.press("Space")
    wait_until(lambda: pixel_of(labels) == (210, 270), "a click at the mouse")
    notebook.page.keyboard.press("Escape")
    wait_until(lambda: pixel_of(labels) is None, "the discard")


FINGERS = """(canvas, [type, fingers, how]) => {
    const rect = canvas.getBoundingClientRect();
    fingers.forEach(([id, x, y]) => canvas.dispatchEvent(new PointerEvent(type, {
        pointerType: "touch", pointerId: id, bubbles: true, ...how,
        clientX: rect.left + x, clientY: rect.top + y,
    })));
}"""


def touch(
    shown: Shown, kind: str, *fingers: tuple[int, float, float], **how: object
) -> None:
    shown.canvas.evaluate(FINGERS, [f"pointer{kind}", fingers, how])


def test_a_tap_clicks_a_long_press_says_no_and_two_fingers_zoom(
    notebook: Notebook, folder: Path
) -> None:
    shown, labels = notebook.shown(FIRST), folder / "first.zarr"
    at = shown.place(70.5, 230.5)
    touch(shown, "down", (7, at["x"], at["y"]))
    touch(shown, "up", (7, at["x"], at["y"]))
    wait_until(lambda: pixel_of(labels) == (70, 230), "the tap")
    at = shown.place(80.5, 250.5)
    touch(shown, "down", (7, at["x"], at["y"]))
    wait_until(lambda: pixel_of(labels) == (80, 250), "the long press")
    touch(shown, "up", (7, at["x"], at["y"]))
    shown.says("candidate, score")
    zoom = shown.canvas.evaluate("canvas => canvas.nsamView.zoom")
    touch(shown, "down", (7, 200, 100), (8, 260, 100))
    touch(shown, "move", (8, 320, 100))
    touch(shown, "up", (7, 200, 100), (8, 320, 100))
    assert shown.canvas.evaluate("canvas => canvas.nsamView.zoom") == pytest.approx(
        2 * zoom
    )
    shown.canvas.focus()
    notebook.page.keyboard.press("Escape")
    notebook.page.keyboard.press("0")
    wait_until(lambda: pixel_of(labels) is None, "the discard")


@pytest.mark.parametrize("how", [{"button": 2}, {"button": 5}], ids=["side", "eraser"])
def test_a_pen_points_and_its_button_or_eraser_says_no(
    notebook: Notebook, folder: Path, how: dict[str, int]
) -> None:
    shown, labels = notebook.shown(FIRST), folder / "first.zarr"
    for y, x, extra in ((70.5, 230.5, {"button": 0}), (80.5, 250.5, how)):
        at = shown.place(y, x)
        for kind in ("down", "up"):
            pen = {"pointerType": "pen", **extra}
            touch(shown, kind, (9, at["x"], at["y"]), **pen)
    wait_until(lambda: points_of(labels) == [(70, 230, 1), (80, 250, 0)], "the pen")
    shown.canvas.focus()
    notebook.page.keyboard.press("Escape")
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
    notebook.save()
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
    notebook: Notebook, lab_url: str, browser: Any, folder: Path
) -> None:
    assert not notebook.page.locator(".napari-sam-still").first.is_visible()

    def is_in_the_file() -> bool:
        # The picture follows the widget once it rests.
        notebook.save()
        return coloured_of(folder / "all.ipynb") > 1000

    wait_until(is_in_the_file, "accepted objects are coloured in the picture")
    (folder / "copy.ipynb").write_text((folder / "all.ipynb").read_text())
    copy = Notebook(browser, lab_url, "copy")
    picture = copy.page.locator(".napari-sam-still img").first
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") == SHAPE[1]
    copy.page.get_by_text("Run the cell again").first.wait_for()
    assert copy.elsewhere == []
    copy.close()


def test_a_restarted_kernel_goes_on_from_the_labels_on_disk(
    notebook: Notebook, folder: Path
) -> None:
    before = on_disk(folder / "first.zarr")
    notebook.restart()
    notebook.run(-1)
    shown = notebook.widget(FIRST)
    shown.says("3 objects")
    assert np.array_equal(on_disk(folder / "first.zarr"), before)
    shown.canvas.focus()
    # The last step before the restart was to discard prompts: they come back.
    notebook.page.keyboard.press("Control+z")
    shown.says("Enter accepts")
    notebook.page.keyboard.press("Enter")
    shown.says("4 objects")


def coloured_of(notebook: Path) -> int:
    """How many pixels of the first picture in a notebook are not gray."""
    text = notebook.read_text()
    outputs = [o for cell in json.loads(text)["cells"] for o in cell["outputs"]]
    html = ["".join(o.get("data", {}).get("text/html", "")) for o in outputs]
    _, _, encoded = "".join(html).partition("base64,")
    if not encoded:
        return 0
    picture = Picture.open(BytesIO(b64decode(encoded.partition('"')[0])))
    rgb = np.asarray(picture.convert("RGB")).astype(int)
    return int((np.ptp(rgb, axis=-1) > 30).sum())


def points_of(labels: Path) -> list[tuple[int, int, int]]:
    """y, x and label of the clicks of the draft, as the journal has them."""
    with LabelStore.open(labels, mode="r") as store:
        drafts = [e.data for e in store.journal.entries() if e.kind == "draft"]
    rows = [row for prompt in drafts[-1]["prompts"] for row in prompt["points"]]
    return [(int(y), int(x), int(label)) for y, x, label in rows]
