"""Nothing in a file of weights is ever run, and damage is found."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_scene import KEY, Bystander, Marker, legacy, saved, tar_file, toy_state
from safetensors.torch import save_file
from torch import nn

from napari_sam.errors import CheckpointError
from napari_sam.model import checkpoints
from napari_sam.model.checkpoints import read_checkpoint


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    tmp_path: Path,
) -> None:
    marker = tmp_path / "marker"
    path = saved(tmp_path, {"model": toy_state(), "extra": Marker(marker)})
    with pytest.raises(CheckpointError, match="would run code from the file") as caught:
        read_checkpoint(path)
    assert "mkdir" in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert not marker.exists()


def test_the_marker_works_where_pickles_are_trusted(tmp_path: Path) -> None:
    # The control: without the refusal the file above does run.
    pickle.loads(pickle.dumps(Marker(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


def test_pickled_objects_beside_the_weights_are_refused_with_a_way_out(
    tmp_path: Path,
) -> None:
    content = {"model_state": toy_state("sam."), "init": {"trainer": Bystander()}}
    with pytest.raises(CheckpointError, match="Bystander") as caught:
        read_checkpoint(saved(tmp_path, content))
    assert "save_file(" in str(caught.value)


def test_the_way_out_leads_to_a_file_that_is_read(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    recipe = checkpoints.EXPORT_RECIPE.partition("\n")[2].replace("    ", "")
    recipe = recipe.replace("weights.safetensors", str(tmp_path / "out"))
    exec(recipe, {"model": model})
    assert read_checkpoint(tmp_path / "out").state.keys() == {"weight", "bias"}


@pytest.mark.parametrize("make", [lambda: legacy(toy_state()), tar_file])
def test_formats_whose_readers_ran_code_are_refused(
    make: Callable[[], bytes], tmp_path: Path
) -> None:
    (tmp_path / "x.pt").write_bytes(make())
    with pytest.raises(CheckpointError, match=r"format from before 1\.6"):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle_is_refused_and_does_not_run(
    protocol: int, tmp_path: Path
) -> None:
    content = pickle.dumps(Marker(tmp_path / "marker"), protocol)
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="could run code"):
        read_checkpoint(tmp_path / "x.pt")
    assert not (tmp_path / "marker").exists()


def test_a_program_in_torchscript_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("x/data.pkl", b"")
        archive.writestr("x/constants.pkl", b"")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"iou_token: 1, 2, 3", "is no file of weights"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "is no file of weights"),
        (b"<!DOCTYPE html><html></html>", "is no file of weights"),
        (b"PK\x03\x04", "is damaged: it ends"),
        (b"\x10\0\0\0\0\0\0\0{", "is damaged: it ends"),
        (b"\x02\0\0\0\0\0\0\0{}", "holds nothing"),
        (b"\x02\0\0\0\0\0\0\0{!", "is damaged: it begins like safetensors"),
    ],
    ids=["empty", "text", "png", "html", "zip", "cut header", "no keys", "bad header"],
)
def test_what_is_no_weights_is_named(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(tmp_path / "x.pt")
    assert str(tmp_path / "x.pt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_zip_of_something_else_is_no_weights(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="zip file without weights"):
        read_checkpoint(tmp_path / "x.zip")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_a_truncated_file_is_damaged_wherever_it_ends(
    kind: str, share: float, tmp_path: Path
) -> None:
    state = {f"{KEY}.{i}": torch.ones(50) for i in range(20)}
    path = tmp_path / "x"
    torch.save(state, path) if kind == "torch" else save_file(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: max(int(len(whole) * share), 1)])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
def test_no_flipped_byte_in_a_files_pickle_gives_anything_but_a_checkpoint_error(
    tmp_path: Path,
) -> None:
    path = saved(tmp_path, toy_state())
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in entries if name.endswith("data.pkl"))
    outcomes = {"read": 0, "refused": 0}
    for at in range(len(entries[pickled])):
        broken = bytearray(entries[pickled])
        broken[at] ^= 0x55
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, bytes(broken) if name == pickled else content)
        try:
            read_checkpoint(path)
            outcomes["read"] += 1
        except CheckpointError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > len(entries[pickled]) // 2
