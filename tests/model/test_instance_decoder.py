"""The project's own instance decoder: beside SAM in one file, and as it is used."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam.errors import CheckpointError, MapError
from napari_sam.model import build, instance_decoder, tiny_vit
from napari_sam.model.build import new_instance_head, new_tiny_sam
from napari_sam.model.checkpoints import load_model
from napari_sam.model.inference.encoder import InferenceForm
from napari_sam.model.instances import MapKind, find_instances
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam
from napari_sam.training.export import export

METADATA = ModelMetadata("small", "fp", image_size=64, instance_share=0.25)


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published widths with a block a stage."""
    monkeypatch.setattr(tiny_vit, "DEPTHS", (1, 1, 1, 1))
    decoder = {**build.PUBLISHED_DECODER, "hidden": 32}
    monkeypatch.setattr(build, "PUBLISHED_DECODER", decoder)


@pytest.fixture
def sam(small_network: None) -> Sam:
    torch.manual_seed(3)
    made = new_tiny_sam(METADATA)
    made.instance_decoder = new_instance_head(made.image_encoder)
    for name, buffer in made.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    return made.eval()


def pixels(height: int = 64, width: int = 48) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_the_stages_end_with_the_embedding(sam: Sam) -> None:
    image = torch.randn(2, 3, 64, 32)
    stages = sam.image_encoder.stages(image)
    assert torch.equal(stages[-1], sam.image_encoder(image))
    sizes = [(64 // 2**n, 32 // 2**n) for n in (1, 2, 3, 4, 4)]
    assert [tuple(stage.shape[-2:]) for stage in stages] == sizes
    channels = tuple(stage.shape[1] for stage in stages)
    assert channels == sam.image_encoder.stage_channels


def test_maps_are_half_the_size_of_what_the_encoder_sees(sam: Sam) -> None:
    maps = sam.instance_decoder(sam.image_encoder.stages(torch.randn(1, 3, 64, 32)))
    assert maps.shape == (1, 3, 32, 16)


def test_a_file_holds_the_decoder_beside_sam_and_loads_without_it_too(
    sam: Sam, tmp_path: Path
) -> None:
    path = tmp_path / "both.safetensors"
    export(sam, path, {})
    loaded = load_model(path, "cpu")
    assert loaded.finds_instances
    assert loaded.instance_share == 0.25
    state = load_file(path)
    own = {key for key in state if key.startswith("instance_decoder.")}
    assert len(own) == len(sam.instance_decoder.state_dict())
    rest = {key: value for key, value in state.items() if key not in own}
    save_file(rest, tmp_path / "sam.safetensors")
    plain = load_model(tmp_path / "sam.safetensors", "cpu")
    assert not plain.finds_instances
    with pytest.raises(MapError, match="has no instance decoder"):
        plain.encode_maps([pixels()])
    del state["instance_decoder.maps.bias"]
    save_file(state, tmp_path / "broken.safetensors")
    with pytest.raises(CheckpointError, match=r"1 missing: instance_decoder.maps.bias"):
        load_model(tmp_path / "broken.safetensors", "cpu")


def test_maps_come_with_the_very_embedding_and_are_the_plain_ones(sam: Sam) -> None:
    windows = [pixels(), pixels(30, 60)]
    plain = sam.encode_maps(windows)
    sam.inference = InferenceForm(torch.float32)
    fast = sam.encode_maps(windows)
    for (embedding, maps), (_, slow), alone in zip(
        fast, plain, sam.encode_many(windows), strict=True
    ):
        np.testing.assert_array_equal(embedding.features_chw, alone.features_chw)
        assert maps.kind is MapKind.DIRECTIONS
        assert maps.maps_3hw.dtype == np.float16
        np.testing.assert_allclose(
            maps.maps_3hw.astype(float), slow.maps_3hw.astype(float), atol=4e-3
        )
    assert [maps.maps_3hw.shape for _, maps in fast] == [(3, 32, 24), (3, 16, 32)]
    assert [maps.window_shape for _, maps in fast] == [(64, 48), (30, 60)]
    assert find_instances(fast[0][1]).shape == (64, 48)
    assert sam.encode_maps([]) == []


def test_the_fast_form_is_made_once_and_anew_when_weights_change(
    sam: Sam, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam.inference = InferenceForm(torch.float32)
    form = sam.inference.with_maps(sam.image_encoder, sam.instance_decoder)
    again = sam.inference.with_maps(sam.image_encoder, sam.instance_decoder)
    assert form is again
    with torch.no_grad():
        sam.instance_decoder.maps.bias.add_(1.0)
    changed = sam.inference.with_maps(sam.image_encoder, sam.instance_decoder)
    assert changed is not form


def test_maps_of_other_weights_or_precision_have_other_keys(sam: Sam) -> None:
    first = sam.maps_fingerprint
    sam.inference = InferenceForm(torch.bfloat16)
    assert sam.maps_fingerprint != first
    assert sam.maps_fingerprint != sam.fingerprint


def test_the_decoder_is_a_small_part_of_the_weights() -> None:
    head = instance_decoder.InstanceHead((32, 64, 128, 160, 256))
    parameters = sum(x.numel() for x in head.parameters())
    assert 0.4e6 < parameters < 1e6
