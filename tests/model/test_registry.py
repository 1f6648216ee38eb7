"""The registry's facts, and where its files are on this machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from napari_sam.errors import CheckpointError
from napari_sam.model.registry import (
    REGISTRY,
    Checksum,
    cache_folder,
    find_row,
    get_row,
    list_models,
    weights_path,
)

PUBLISHED = {
    "vit_b": "6923c33df3637b6a922d7682bfc9a86b",
    "vit_l": "a82beb3c660661e3dd38d999cc860e9a",
    "vit_h": "97698fac30bd929c2e6d8d8cc15933c2",
    "vit_t": "8eadbc88aeb9d8c7e0b4b60c3db48bd0",
    "vit_t_lm": "72ec5074774761a6e5c05a08942f981e",
    "vit_b_lm": "fe9252a29f3f4ea53c15a06de471e186",
    "vit_l_lm": "017f20677997d628426dec80a8018f9d",
    "vit_t_em_organelles": "253474720c497cce605e57c9b1d18fd9",
    "vit_b_em_organelles": "f3bf2ed83d691456bae2c3f9a05fb438",
    "vit_l_em_organelles": "810b084b6e51acdbf760a993d8619f2d",
}


@pytest.mark.parametrize(("name", "xxh128"), PUBLISHED.items())
def test_every_published_model_is_known_by_its_xxh128(name: str, xxh128: str) -> None:
    assert Checksum("xxh128", xxh128) in get_row(name).checksums


def test_only_the_default_comes_with_the_package() -> None:
    assert [row.name for row in REGISTRY if row.is_embedded] == ["default"]
    assert {row.name for row in REGISTRY} == {"default", *PUBLISHED}


def test_no_two_rows_share_a_name_a_file_or_a_url() -> None:
    for values in (
        [row.name for row in REGISTRY],
        [row.file_name for row in REGISTRY],
        [row.url for row in REGISTRY],
    ):
        assert len(set(values)) == len(REGISTRY)


def test_every_download_is_encrypted_and_every_row_says_licence_and_page() -> None:
    for row in REGISTRY:
        assert row.url is None or row.url.startswith("https://")
        assert row.licence
        assert row.page


def test_the_digits_in_metas_file_names_are_not_taken_for_sha256() -> None:
    # They begin the md5: held against sha256 they would refuse the real files.
    for name in ("vit_b", "vit_l", "vit_h"):
        row = get_row(name)
        digits = row.file_name.removesuffix(".pth").rpartition("_")[2]
        sha256 = next(c for c in row.checksums if c.algorithm == "sha256")
        assert len(sha256.hex_digits) == 64
        assert not sha256.hex_digits.startswith(digits)


def test_a_checksum_may_be_the_beginning_of_a_digest() -> None:
    assert Checksum("sha256", "01ec").matches({"sha256": "01ec64"})
    assert not Checksum("sha256", "01ed").matches({"sha256": "01ec64"})


@pytest.mark.parametrize(
    ("algorithm", "digits"), [("md6", "00"), ("sha256", ""), ("sha256", "XY")]
)
def test_a_checksum_that_cannot_be_checked_is_refused(
    algorithm: str, digits: str
) -> None:
    with pytest.raises(CheckpointError, match="A checksum needs"):
        Checksum(algorithm, digits)


def test_a_mismatch_names_what_was_expected_and_what_was_computed() -> None:
    row = get_row("vit_t_lm")
    assert row.mismatch({"xxh128": PUBLISHED["vit_t_lm"]}) == ""
    assert row.mismatch({"xxh128": "ab"}) == (
        f"expected xxh128:{PUBLISHED['vit_t_lm']}, computed ab"
    )


def test_an_unknown_name_is_answered_with_the_closest_one() -> None:
    with pytest.raises(CheckpointError, match="Did you mean 'vit_b_lm'"):
        get_row("vit-b-lm")
    assert find_row("vit-b-lm") is None


def test_a_variable_moves_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_SAM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "models"
    assert weights_path(get_row("vit_b")).parent == tmp_path / "models"


def test_without_the_variable_the_cache_is_the_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NAPARI_SAM_CACHE", raising=False)
    assert "napari-sam" in cache_folder().parts


def test_the_embedded_weights_do_not_move_with_the_cache(tmp_path: Path) -> None:
    path = weights_path(get_row("default"), tmp_path)
    assert path.parts[-4:] == (
        "napari_sam",
        "model",
        "weights",
        "vit_t_default.safetensors",
    )


def test_the_listing_says_what_is_in_the_cache(tmp_path: Path) -> None:
    weights_path(get_row("vit_b"), tmp_path).touch()
    here = {entry.row.name for entry in list_models(tmp_path) if entry.in_cache}
    assert here - {"default"} == {"vit_b"}
    assert len(list_models(tmp_path)) == len(REGISTRY)


def test_a_download_that_is_not_whole_is_not_listed_as_in_the_cache(
    tmp_path: Path,
) -> None:
    (tmp_path / f"{get_row('vit_b').file_name}.part").touch()
    assert not any(
        entry.in_cache for entry in list_models(tmp_path) if entry.row.name == "vit_b"
    )


@pytest.mark.slow
def test_listing_the_models_loads_no_torch() -> None:
    code = (
        "import sys; from napari_sam.model.registry import list_models; list_models();"
        "sys.exit('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert result.returncode == 0
