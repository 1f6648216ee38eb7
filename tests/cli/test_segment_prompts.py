from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from cli_scene import (
    FIRST,
    OBJECTS,
    SECOND,
    SIDE,
    THIRD,
    Desk,
    Regions,
    click,
    files_in,
    labels_of,
    run,
    scene,
    write_scene,
)
from ome_zarr_models.v05 import ImageLabel

from napari_sam.labels import LabelStore


def test_objects_are_written_where_they_are(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.segment() == 0
    expected = np.zeros((SIDE, SIDE), dtype=np.uint32)
    for label_id, box in enumerate(OBJECTS, 1):
        expected[box.slices] = label_id
    np.testing.assert_array_equal(labels_of(desk.labels), expected)
    assert capsys.readouterr().out == f"Labels: {desk.labels} (3 objects written)\n"


def test_labels_are_an_ome_zarr_label_image(desk: Desk) -> None:
    desk.segment()
    label = ImageLabel.from_zarr(zarr.open_group(desk.labels, mode="r"))
    assert label.ome_attributes.version == "0.5"


def test_the_version_of_new_labels_can_be_chosen(desk: Desk) -> None:
    assert desk.segment("--ome-zarr-version", "0.4") == 0
    assert (desk.labels / ".zgroup").is_file()


def test_clicks_boxes_and_ids_are_taken_from_the_file(desk: Desk) -> None:
    desk.ask(
        [
            {"id": 7, "points": [click(FIRST), click(SECOND, 0)]},
            {"id": 3, "box": [SECOND.y0, SECOND.x0, SECOND.y1, SECOND.x1]},
        ]
    )
    assert desk.segment() == 0
    labels = labels_of(desk.labels)
    assert (labels[FIRST.slices] == 7).all()
    assert (labels[SECOND.slices] == 3).all()


def test_an_id_that_is_asked_for_later_is_not_given_to_another_object(
    desk: Desk,
) -> None:
    desk.ask(
        [
            {"points": [click(FIRST)]},
            {"id": 1, "points": [click(SECOND)]},
            {"points": [click(THIRD)]},
        ]
    )
    assert desk.segment() == 0
    labels = labels_of(desk.labels)
    assert [labels[box.y0, box.x0] for box in OBJECTS] == [2, 1, 3]


def test_each_object_leaves_a_record_of_how_it_came_about(desk: Desk) -> None:
    desk.segment()
    with LabelStore.open(desk.labels, mode="r") as store:
        records = [record.record for record in store.records()]
    assert records[1] == {
        "prompts": {"points": [click(SECOND)]},
        "model": "regions",
        "score": 0.9,
        "level": 0,
        "candidate": 0,
    }


def test_a_second_run_continues_the_labels(desk: Desk) -> None:
    desk.ask([{"points": [click(FIRST)]}])
    desk.segment()
    desk.ask([{"points": [click(SECOND)]}])
    assert desk.segment() == 0
    labels = labels_of(desk.labels)
    assert [labels[box.y0, box.x0] for box in OBJECTS] == [1, 2, 0]


def test_overwrite_starts_the_labels_anew(desk: Desk) -> None:
    desk.ask([{"id": 5, "points": [click(FIRST)]}])
    desk.segment()
    desk.ask([{"id": 5, "points": [click(SECOND)]}])
    assert desk.segment("--overwrite") == 0
    labels = labels_of(desk.labels)
    assert [labels[box.y0, box.x0] for box in OBJECTS] == [0, 5, 0]


def test_overwrite_keeps_the_old_labels_when_nothing_new_comes_of_it(
    desk: Desk,
) -> None:
    desk.segment()
    desk.ask([{"points": [[100, 100, 1]]}])
    assert desk.segment("--overwrite") == 1
    assert labels_of(desk.labels).max() == 3


def test_labels_go_beside_the_image_by_default(desk: Desk) -> None:
    code = run(
        *("segment", desk.image, "--prompts", desk.prompts, "--contrast", "0,255")
    )
    assert code == 0
    assert labels_of(desk.folder / "image.labels.ome.zarr").max() == 3


def test_planes_of_a_stack_are_told_apart(desk: Desk, tmp_path: Path) -> None:
    write_scene(tmp_path / "stack.zarr", plane_count=3)
    desk.ask([{"plane": [2], "points": [click(FIRST)]}])
    code = run(
        *("segment", tmp_path / "stack.zarr", "--prompts", desk.prompts),
        *("--output", desk.labels, "--axes", "zyx", "--contrast", "0,255"),
    )
    assert code == 0
    assert labels_of(desk.labels, (1,)).max() == 0
    assert (labels_of(desk.labels, (2,))[FIRST.slices] == 1).all()


def test_the_rule_overwrite_takes_pixels_that_keep_leaves(desk: Desk) -> None:
    desk.segment()
    desk.ask([{"points": [click(FIRST)]}])
    assert desk.segment() == 1
    assert (labels_of(desk.labels)[FIRST.slices] == 1).all()
    assert desk.segment("--rule", "overwrite") == 0
    assert (labels_of(desk.labels)[FIRST.slices] == 4).all()


def test_a_failing_object_does_not_stop_the_others(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing_there = {"id": 9, "points": [[100, 100, 1]]}
    desk.ask([{"points": [click(FIRST)]}, nothing_there, {"points": [click(THIRD)]}])
    assert desk.segment() == 1
    labels = labels_of(desk.labels)
    assert [labels[box.y0, box.x0] for box in OBJECTS] == [1, 0, 2]
    told = capsys.readouterr()
    assert "objects[1] (id 9, at y=100, x=100): the model sees no object" in told.err
    assert "(2 objects written)" in told.out


def test_nothing_is_made_when_no_object_can_be_written(desk: Desk) -> None:
    before = files_in(desk.folder)
    desk.ask([{"points": [[100, 100, 1]]}])
    assert desk.segment() == 1
    assert files_in(desk.folder) == before


def test_prompts_that_the_mask_does_not_honour_are_warned_of(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.ask([{"points": [click(FIRST), [FIRST.y0, FIRST.x0, 0]]}])
    assert desk.segment() == 0
    assert "1 of its 2 prompts" in capsys.readouterr().err


def test_embeddings_kept_in_a_folder_spare_a_second_run_the_encoding(
    desk: Desk, model: Regions
) -> None:
    options = ("--cache-dir", desk.folder / "embeddings", "--overwrite")
    assert desk.segment(*options) == 0
    encodes = model.encodes
    assert encodes > 0
    assert desk.segment(*options) == 0
    assert model.encodes == encodes
    assert labels_of(desk.labels).max() == 3


def test_a_coarser_level_gives_a_coarser_outline(desk: Desk, tmp_path: Path) -> None:
    np.save(tmp_path / "large.npy", np.kron(scene(), np.ones((4, 4), np.uint8)))
    y, x = FIRST.center
    desk.ask([{"points": [[4 * y, 4 * x, 1]]}])
    for level in (0, 1):
        code = run(
            *("segment", tmp_path / "large.npy", "--prompts", desk.prompts),
            *("--output", tmp_path / f"{level}.ome.zarr", "--level", level),
            *("--contrast", "0,255"),
        )
        assert code == 0
        with LabelStore.open(tmp_path / f"{level}.ome.zarr", mode="r") as store:
            assert store.records()[0].record["level"] == level


def test_interrupting_keeps_what_was_written(
    desk: Desk,
    model: Regions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = model.predict

    def interrupted(embedding: object, prompts: object) -> object:
        if model.encodes > 1:
            raise KeyboardInterrupt
        return answer(embedding, prompts)

    monkeypatch.setattr(model, "predict", interrupted)
    assert desk.segment() == 130
    assert (labels_of(desk.labels)[FIRST.slices] == 1).all()
    assert "interrupted; 1 object safe in" in capsys.readouterr().err


def test_two_runs_do_not_write_the_same_labels(
    desk: Desk, model: Regions, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.segment()
    with LabelStore.open(desk.labels):
        for options in ([], ["--overwrite"]):
            assert desk.segment(*options) == 1
    assert capsys.readouterr().err.count("are being written by another program") == 2
    assert model.loads == 1


def test_an_adopted_volume_keeps_its_ids(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.segment()
    companion = desk.labels.with_name(f"{desk.labels.name}.napari-sam")
    next(companion.glob("*.jsonl")).unlink()
    desk.ask([{"id": 2, "points": [[100, 100, 1]]}])
    assert desk.segment() == 1
    assert "have objects with the id 2 already" in capsys.readouterr().err
