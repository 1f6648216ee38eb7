"""Formats that are known by their first bytes, and that other programs read.

An error that names the format, and what opens it, helps; "cannot identify" does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CONVERT = (
    "Convert it to OME-Zarr with bioformats2raw, or open it in Python with bioio and "
    "give the array to open_image"
)
ARRAY = "Open it in Python with {library} and give the array to open_image"


@dataclass(frozen=True, slots=True)
class ForeignFormat:
    """A format that is not read here.

    Parameters
    ----------
    name
        For the user.
    advice
        What to do, a sentence without its full stop.
    start
        Its first bytes; None: it is known by its ending alone.
    offset
        Where they are.
    endings
        Of file names, in lower case.
    """

    name: str
    advice: str
    start: bytes | None = None
    offset: int = 0
    endings: tuple[str, ...] = ()


HDF5_ADVICE = (
    f"{ARRAY.format(library='h5py')}, as in open_image(h5py.File(path)['data']), or "
    "convert it to OME-Zarr"
)

FORMATS = (
    ForeignFormat("HDF5", HDF5_ADVICE, b"\x89HDF\r\n\x1a\n"),
    ForeignFormat("Zeiss CZI", CONVERT, b"ZISRAWFILE"),
    ForeignFormat("Nikon ND2", CONVERT, b"\xda\xce\xbe\x0a"),
    ForeignFormat("Nikon ND2", CONVERT, b"\0\0\0\x0cjP  \r\n\x87\n", endings=(".nd2",)),
    ForeignFormat(
        "Leica LIF", CONVERT, b"\x70\0\0\0", endings=(".lif", ".xlif", ".lof")
    ),
    ForeignFormat("DICOM", CONVERT, b"DICM", 128),
    ForeignFormat("MATLAB", ARRAY.format(library="scipy.io.loadmat"), b"MATLAB 5.0"),
    ForeignFormat("MRC", ARRAY.format(library="mrcfile"), b"MAP ", 208),
    ForeignFormat("NRRD", ARRAY.format(library="pynrrd"), b"NRRD"),
    ForeignFormat(
        "NIfTI", ARRAY.format(library="nibabel"), endings=(".nii", ".nii.gz")
    ),
    ForeignFormat("Olympus OIF or OIB", CONVERT, endings=(".oif", ".oib", ".oir")),
    ForeignFormat("Olympus VSI", CONVERT, endings=(".vsi", ".ets")),
    ForeignFormat("MIRAX", CONVERT, endings=(".mrxs",)),
    ForeignFormat("Metamorph", CONVERT, endings=(".nd", ".stk")),
    ForeignFormat("Bruker or Prairie XML", CONVERT, endings=(".xml", ".companion.ome")),
    ForeignFormat("DeltaVision", CONVERT, endings=(".dv", ".r3d")),
    ForeignFormat("Gatan", CONVERT, endings=(".dm3", ".dm4")),
    ForeignFormat("Imaris", HDF5_ADVICE, endings=(".ims",)),
    ForeignFormat("FITS", ARRAY.format(library="astropy.io.fits"), b"SIMPLE  ="),
    ForeignFormat("a movie", ARRAY.format(library="imageio"), b"ftyp", 4),
    ForeignFormat("a movie", ARRAY.format(library="imageio"), b"AVI ", 8),
    ForeignFormat("a movie", ARRAY.format(library="imageio"), b"\x1aE\xdf\xa3"),
    ForeignFormat("PDF", "Export its picture as PNG or TIFF", b"%PDF"),
    ForeignFormat("SVG", "Export it as PNG", endings=(".svg",)),
)

PICTURES_IN_FTYP = re.compile(rb"avif|avis|heic|heix|mif1|msf1")
"""Kinds of the container of movies that are still pictures."""


def foreign_format(start: bytes, name: str) -> ForeignFormat | None:
    """What a file is that is not read here, or None.

    Parameters
    ----------
    start
        Its first bytes, 256 of them if there are.
    name
        Of the file.
    """
    lower = Path(name).name.lower()
    for known in FORMATS:
        has_ending = lower.endswith(known.endings) if known.endings else True
        has_start = known.start is None or start[known.offset :].startswith(known.start)
        is_picture = known.start == b"ftyp" and PICTURES_IN_FTYP.match(start[8:12])
        if has_ending and has_start and not is_picture:
            return known
    return None
