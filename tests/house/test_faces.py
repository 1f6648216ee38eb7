"""Packages are entered by their face: a few names, and a map of what is inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from source_tree import (
    SOURCE,
    Import,
    check_none,
    docstring_of,
    dotted,
    exports,
    imports,
    members,
    packages,
    python_files,
)

FEWEST, MOST = 5, 15
TOP = [path for path in packages() if path.parent == SOURCE]
# Programs: what others need of them is how they are started.
PROGRAMS = {"cli", "jupyter_widget", "napari_plugin"}
# Who teaches the network needs its parts.
INSIDERS = {("napari_sam.training", "napari_sam.model")}
FACES = [path for path in TOP if path.name not in PROGRAMS]


@pytest.mark.parametrize("package", packages()[1:], ids=dotted)
def test_a_package_has_a_map_that_names_each_of_its_modules(package: Path) -> None:
    words = set(re.findall(r"\w+", docstring_of(package)))
    check_none(name for name in members(package) if name not in words)


@pytest.mark.parametrize("package", FACES, ids=dotted)
def test_a_face_has_five_to_fifteen_names(package: Path) -> None:
    assert FEWEST <= len(exports(package)) <= MOST, exports(package)


@pytest.mark.parametrize("package", packages()[1:], ids=dotted)
def test_a_face_names_in_order_and_once(package: Path) -> None:
    assert exports(package) == sorted(set(exports(package)))


def crossings() -> Iterator[tuple[Import, Path]]:
    """Imports past the face of a package, with the outermost one that is entered.

    napari_sam.session.prompting -> napari_sam.labels.ledger      labels
    napari_sam.automatic.plan -> napari_sam.automatic.tiles.x     automatic.tiles
    """
    known = {dotted(path): path for path in packages()[1:]}
    # A package inside another may have a face of its own, which anybody may use; and a
    # module that a face names is open as a whole, as a language of commands is.
    faces = {name for name, path in known.items() if exports(path)}
    opened = {f"{name}.{one}" for name in faces for one in exports(known[name])}
    for path in python_files("src"):
        for found in imports(path):
            parts = found.source.split(".")
            outer = [".".join(parts[:n]) for n in range(2, len(parts))]
            entered = [p for p in outer if not f"{found.importer}.".startswith(f"{p}.")]
            if not entered or entered[0] not in known or found.source in faces | opened:
                continue
            if (".".join(found.importer.split(".")[:2]), entered[0]) not in INSIDERS:
                yield found, known[entered[0]]


def test_callers_come_in_by_the_face() -> None:
    check_none(
        f"{found.line}: {found.name} from {found.source}, needs {dotted(package)}"
        for found, package in crossings()
        # Packages inside others have a face, or are their owner's own affair.
        if (package in FACES or exports(package))
        # The public face of all imports lazily, from where a name is at home.
        and found.importer != "napari_sam"
    )
