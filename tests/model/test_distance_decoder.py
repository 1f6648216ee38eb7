"""micro-sam's instance decoder: the reference's maps, and files of its weights."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_scene import KEY, saved, toy_state
from torch import Tensor
from torch.nn import functional as F

from napari_sam.errors import CheckpointError, DownloadError
from napari_sam.model import checkpoints, distance_decoder
from napari_sam.model.build import build_distance_decoder
from napari_sam.model.checkpoints import read_checkpoint, read_decoder
from napari_sam.model.distance_decoder import DistanceDecoder
from napari_sam.model.download import LocalWeights
from napari_sam.model.registry import REGISTRY, get_row

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "instance_decoder"
VARIANTS = ("interpolating", "transposed")
needs_golden = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason=f"no reference outputs in {GOLDEN}"
)


def golden_state(variant: str) -> dict[str, Tensor]:
    """Weights by the formula of the golden files' README."""
    keys = json.loads((GOLDEN / f"{variant}_keys.json").read_text())
    return {key: golden_tensor(key, shape) for key, shape in keys.items()}


def golden_tensor(key: str, shape: list[int]) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    values = rng.standard_normal(shape, dtype=np.float32)
    if key.endswith("running_var"):
        values = 1 + 0.2 * np.abs(values)
    elif key.endswith(("running_mean", "bias")):
        values = 0.1 * values
    elif len(shape) > 1:
        values = 1.6 * values / np.sqrt(np.prod(shape[1:]))
    else:
        values = 1 + 0.1 * values
    return torch.from_numpy(values.astype(np.float16).astype(np.float32))


@needs_golden
@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_maps_are_the_reference_s(variant: str) -> None:
    decoder = build_distance_decoder(golden_state(variant), variant)
    rng = np.random.default_rng(7)
    embedding = rng.standard_normal((1, 256, 64, 64), dtype=np.float32)
    with torch.no_grad():
        logits = decoder(torch.from_numpy(embedding))
    with np.load(GOLDEN / f"{variant}.npz") as reference:
        wanted, output = reference["logits"].astype(np.float32), reference["output"]
    ours = logits[0, :, ::4, ::4].numpy()
    assert np.linalg.norm(ours - wanted) < 1e-4 * np.linalg.norm(wanted)
    maps = F.interpolate(
        logits.sigmoid()[..., :768, :1024], (600, 800), mode="bilinear"
    )
    assert np.abs(maps[0, :, ::4, ::4].numpy() - output).max() < 1e-4


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distance_decoder, "WIDTHS", (16, 8, 4, 2))


def small_decoder(variant: str = "transposed") -> DistanceDecoder:
    kinds = {
        "interpolating": distance_decoder.InterpolatedEnlarging,
        "transposed": distance_decoder.TransposedEnlarging,
    }
    torch.manual_seed(0)
    return DistanceDecoder(8, kinds[variant]).eval()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_variant_is_told_by_the_keys(tmp_path: Path, variant: str) -> None:
    decoder = small_decoder(variant)
    path = saved(tmp_path, decoder.state_dict(), "vit_b_decoder.pt")
    again = build_distance_decoder(read_decoder(path), "again")
    embedding = torch.randn(1, 8, 2, 3)
    assert again(embedding).shape == (1, 3, 32, 48)
    torch.testing.assert_close(again(embedding), decoder(embedding))


@pytest.mark.usefixtures("small")
def test_a_decoder_inside_of_a_checkpoint_is_read_beside_the_weights(
    tmp_path: Path,
) -> None:
    decoder = small_decoder().state_dict()
    content = {"model_state": toy_state("sam."), "decoder_state": decoder}
    path = saved(tmp_path, content)
    checkpoint = read_checkpoint(path)
    assert list(checkpoint.state) == [KEY]
    assert checkpoint.decoder is not None
    assert checkpoint.decoder.keys() == decoder.keys()
    assert read_decoder(path).keys() == decoder.keys()
    assert read_checkpoint(saved(tmp_path, toy_state())).decoder is None


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("out_conv.bias"), "1 missing: out_conv.bias"),
        (lambda s: s.update(odd=torch.zeros(1)), "1 unknown: odd"),
        (lambda s: s.update({"out_conv.bias": torch.zeros(4)}), "wrong shape"),
        (lambda s: s["out_conv.bias"].fill_(torch.nan), "1 not finite"),
        (lambda s: s.clear(), "micro-sam's instance decoder"),
    ],
)
def test_what_does_not_fit_is_refused(change: object, message: str) -> None:
    state = dict(small_decoder().state_dict())
    change(state)
    with pytest.raises(CheckpointError, match=message):
        build_distance_decoder(state, "odd weights")


def test_a_decoder_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, {"decoder_state": {"a": torch.zeros(1)}, "x": Path("a")})
    with pytest.raises(CheckpointError, match="would run code"):
        read_decoder(path)


def test_every_model_of_micro_sam_has_a_decoder_of_its_own() -> None:
    rows = [row for row in REGISTRY if "micro-sam" in row.family]
    assert len(rows) == 6
    decoders = [row.decoder for row in rows if row.decoder is not None]
    assert len({decoder.file_name for decoder in decoders}) == 6
    row = get_row("vit_b_lm")
    assert row.finds_instances
    assert row.decoder is not None
    assert row.url is not None
    assert row.decoder.url == row.url.replace("vit_b.pt", "vit_b_decoder.pt")
    assert not get_row("vit_b").finds_instances


@pytest.mark.usefixtures("small")
def test_a_model_comes_with_its_decoder_and_without_it_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row = get_row("vit_b_lm")
    assert row.decoder is not None
    path = saved(tmp_path, small_decoder().state_dict(), "decoder.pt")
    weights = read_checkpoint(saved(tmp_path, toy_state()))
    monkeypatch.setattr(
        checkpoints, "fetch", lambda *_, **__: LocalWeights(path, "fingerprint")
    )
    both = checkpoints._with_decoder(weights, row, None)
    assert both.decoder is not None
    assert str(both.metadata.maps_fingerprint).endswith("-fingerprint")

    def fail(*_: object, **__: object) -> None:
        raise DownloadError("no connection")

    monkeypatch.setattr(checkpoints, "fetch", fail)
    assert checkpoints._with_decoder(weights, row, None).decoder is None
    assert "without its instance decoder: no connection" in caplog.text
