"""Formats that are not read here are named, with what reads them."""

from pathlib import Path

import pytest

from napari_sam.errors import ImageError
from napari_sam.images import open_image


@pytest.mark.parametrize(
    ("name", "content", "format_name", "advice"),
    [
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5", "h5py"),
        ("a.mat", b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5", "h5py"),
        ("a.czi", b"ZISRAWFILE" + bytes(99), "Zeiss CZI", "bioio"),
        ("a.nd2", b"\xda\xce\xbe\x0a" + bytes(99), "Nikon ND2", "bioio"),
        ("a.lif", b"\x70\0\0\0" + bytes(99), "Leica LIF", "bioio"),
        ("a.dcm", bytes(128) + b"DICM" + bytes(99), "DICOM", "bioio"),
        ("a.mrc", bytes(208) + b"MAP " + bytes(99), "MRC", "mrcfile"),
        ("a.mp4", bytes(4) + b"ftypisom" + bytes(99), "a movie", "imageio"),
        ("a.nii.gz", b"\x1f\x8b" + bytes(99), "NIfTI", "nibabel"),
    ],
)
def test_the_format_is_named(
    tmp_path: Path, name: str, content: bytes, format_name: str, advice: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=format_name) as caught:
        open_image(tmp_path / name)
    assert advice in str(caught.value)


def test_what_is_none_of_them_may_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    with pytest.raises(ImageError, match="damaged"):
        open_image(tmp_path / "a.png")
