"""A run as a value: read, written, and refused with the place of the mistake."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from napari_sam.errors import TrainingError
from napari_sam.training.config import DataSource, Phase, TrainingConfig
from napari_sam.training.config_files import config_from, config_tables, read_config

MINIMAL = 'steps = 2\n[[data]]\npath = "cells"\n'


def read(folder: Path, text: str) -> TrainingConfig:
    path = folder / "run.toml"
    path.write_text(text)
    return read_config(path)


def test_what_is_not_said_is_the_default(tmp_path: Path) -> None:
    expected = TrainingConfig(data=(DataSource(tmp_path / "cells"),), steps=2)
    assert read(tmp_path, MINIMAL) == expected


def test_tables_reach_every_part(tmp_path: Path) -> None:
    text = (
        "minutes = 3\n"
        '[[data]]\npath = "a"\nshare = 0.5\nleave_out = 2\n'
        '[[data]]\npath = "b"\nshare = 1\n'
        "[[phase]]\nsize = 64\nobject_size = [8, 16.5]\n"
        "[network]\nwindow_sizes = [128, 256]\n[augmentation]\nzoom = [1, 2]\n"
    )
    config = read(tmp_path, text)
    assert config.minutes == 3.0
    assert [source.share for source in config.data] == [0.5, 1.0]
    assert config.phase == (Phase(size=64, object_size=(8.0, 16.5)),)
    assert config.network.window_sizes == (128, 256)
    assert config.augmentation.zoom == (1.0, 2.0)


def test_a_config_comes_back_from_the_json_of_the_metadata() -> None:
    config = replace(read_config("default"), seed=7)
    assert config_from(json.loads(json.dumps(config_tables(config)))) == config


def test_the_recipe_of_the_default_is_in_the_package() -> None:
    config = read_config("default", Path("root"))
    assert config.data[0].path == Path("root/dsb2018_train")
    assert config.data[0].leave_out == 0
    assert {x.path.name: x.leave_out for x in config.data[1:]} == {
        "em_axons_sem": 1,
        "em_axons_tem": 3,
        "phasecontrast_usiigaci": 3,
        "dsb2018_cytology_bf": 3,
    }


def test_a_data_root_takes_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(MINIMAL)
    config = read_config(tmp_path / "run.toml", Path("elsewhere"))
    assert config.data[0].path == Path("elsewhere/cells")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("steps == 2\n" + MINIMAL, r"run.toml is no TOML: .*line 1"),
        (
            MINIMAL + "[[phase]]\nsize = 100\n",
            r"phase\[0\].size needs a multiple of 16",
        ),
        (MINIMAL + "[[phase]]\nsiez = 64\n", r"phase\[0\].siez is no setting; there"),
        (MINIMAL + "[[phase]]\nsize = 64.0\n", r"phase\[0\].size needs a whole number"),
        (
            MINIMAL + '[prompting]\nbox_share = "no"\n',
            "prompting.box_share needs a num",
        ),
        (MINIMAL + "[prompting]\nbox_share = 2\n", "prompting.box_share needs to be"),
        (MINIMAL + "[[phase]]\nshare = 0.4\n", "shares need to sum to 1, got 0.4"),
        (MINIMAL + "[augmentation]\nzoom = [1]\n", "augmentation.zoom needs 2 values"),
        ("minutes = 1\n" + MINIMAL, "either steps or minutes"),
        ("steps = 2\n", "data needs a source"),
        ("steps = 2\n[[data]]\nleave_out = 1\n", r"data\[0\] lacks .*'path'"),
        ("steps = true\n", "steps needs a whole number, got True"),
        ("steps = 2\ndata = 3\n", "data needs a list, got 3"),
        (MINIMAL + '[[data]]\npath = "b"\nshare = 1\n', "for all sources, or for none"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(TrainingError, match=complaint):
        read(tmp_path, text)


def test_a_config_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"missing.toml cannot be read"):
        read_config(tmp_path / "missing.toml")


def test_phases_alternate_over_the_cycles() -> None:
    phases = (Phase(share=0.25), Phase(share=0.75))
    config = TrainingConfig(
        data=(DataSource(Path("x")),), steps=8, cycles=2, phase=phases
    )
    found = [config.phase_at(step / 8) for step in range(9)]
    assert found == [0, 1, 1, 1, 0, 1, 1, 1, 1]
