"""What napari learns about the plugin: the manifest, and that all in it works."""

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer
from napari.settings import get_plugin_settings
from npe2 import PluginManager, PluginManifest, write
from npe2.types import FullLayerData

import napari_sam
from napari_sam.geometry import Box
from napari_sam.labels import LabelStore
from napari_sam.napari_plugin import sample_data
from napari_sam.napari_plugin.settings import PLUGIN, read_settings
from napari_sam.napari_plugin.sources import LayerSource
from napari_sam.scenes import Scene, SlideOptions
from napari_sam.scenes import slide as slide_module

MANIFEST = Path(napari_sam.__file__).with_name("napari.yaml")


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


@pytest.fixture
def plugins(npe2pm: PluginManager, manifest: PluginManifest) -> PluginManager:
    """Our plugin and no other, whatever is installed."""
    npe2pm.register(manifest)
    return npe2pm


def test_every_command_is_there(manifest: PluginManifest) -> None:
    manifest.validate_imports()


def test_it_is_found_under_the_name_of_the_distribution() -> None:
    assert PluginManifest.from_distribution(PLUGIN).name == PLUGIN


SAMPLES = {
    "slide": (sample_data.slide, "yx"),
    "stack": (sample_data.stack, "zyx"),
    "movie": (sample_data.movie, "tyx"),
    "coins": (sample_data.coins, "yx"),
}


def test_every_sample_is_tested(manifest: PluginManifest) -> None:
    contributed = manifest.contributions.sample_data or []
    assert {sample.key for sample in contributed} == set(SAMPLES)


@pytest.mark.parametrize("key", SAMPLES)
def test_a_sample_is_a_layer_that_can_be_segmented(key: str) -> None:
    make, axes = SAMPLES[key]
    for data in make():
        opened = LayerSource.of(Layer.create(*data)).open()
        assert opened.axes == axes
        assert opened.image.dtype in {np.dtype(np.uint8), np.dtype(np.uint16)}


@pytest.mark.slow
def test_the_slide_is_lazy_and_its_levels_show_the_same_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []
    draw = slide_module.slide_block

    def counted(options: SlideOptions, box: Box, step: int = 1) -> Scene:
        drawn.append((box, step))
        return draw(options, box, step)

    monkeypatch.setattr(slide_module, "slide_block", counted)
    levels, facts, _ = sample_data.slide()[0]
    layer = Image(levels, **facts)
    assert layer.multiscale
    # napari looks at the coarsest level only, which is one chunk.
    assert {step for _, step in drawn} <= {2 ** (len(levels) - 1)}
    drawn.clear()
    finest = np.asarray(levels[0][512:1024, 0:512])
    assert drawn == [(Box(512, 0, 1024, 512), 1)]
    np.testing.assert_array_equal(levels[1][256:512, 0:256], finest[::2, ::2])


def test_a_sample_is_the_same_each_time() -> None:
    np.testing.assert_array_equal(sample_data.movie()[0][0], sample_data.movie()[0][0])


def labels_data(data: object, **facts: object) -> FullLayerData:
    return Labels(data, **facts).as_layer_data_tuple()


def test_a_labels_layer_is_saved_as_a_label_volume(
    plugins: PluginManager, tmp_path: Path
) -> None:
    ids = np.zeros((3, 40, 50), dtype=np.int32)
    ids[1, 5:15, 10:30] = 7
    ids[2, 20:25, 10:30] = 300
    layer = labels_data(
        ids, scale=(2, 0.5, 0.5), translate=(1, 3, 4), units=("um",) * 3
    )
    path = str(tmp_path / "saved.ome.zarr")
    assert write(path, [layer], plugin_name=PLUGIN) == [path]
    with LabelStore.open(path, mode="r") as store:
        np.testing.assert_array_equal(store.levels[0], ids)
        assert store.geometry.pixel_size == (2, 0.5, 0.5)
        assert store.geometry.translation == (1, 3, 4)
        assert store.geometry.units == ("micrometer",) * 3
        assert [found.label_id for found in store.objects()] == [7, 300]


def test_saving_again_replaces_and_a_pyramid_is_saved_by_its_finest_level(
    plugins: PluginManager, tmp_path: Path
) -> None:
    path = str(tmp_path / "saved.zarr")
    ids = np.eye(64, dtype=np.uint8)
    for pixels in (ids, ids[::-1].copy()):
        layer = labels_data([pixels, pixels[::2, ::2]], multiscale=True)
        write(path, [layer], plugin_name=PLUGIN)
    with LabelStore.open(path, mode="r") as store:
        np.testing.assert_array_equal(store.levels[0], ids[::-1])


def test_saving_does_not_replace_what_is_no_label_volume(
    plugins: PluginManager, tmp_path: Path
) -> None:
    kept = tmp_path / "mine.zarr" / "notes.txt"
    kept.parent.mkdir()
    kept.write_text("do not lose")
    with pytest.raises(ValueError, match="other files"):
        write(str(kept.parent), [labels_data(np.eye(8, dtype=int))], plugin_name=PLUGIN)
    assert kept.read_text() == "do not lose"


@pytest.mark.usefixtures("plugins", "plugin_settings")
def test_settings_have_the_defaults_of_the_manifest_and_keep_what_is_set() -> None:
    settings = read_settings()
    assert (settings.model, settings.device) == ("default", "auto")
    assert settings.prefetch
    get_plugin_settings(PLUGIN).cache.memory_mb = 64
    get_plugin_settings(PLUGIN).cache.disk_mb = 0
    assert read_settings().memory_mb == 64
    assert read_settings().disk_mb == 0
