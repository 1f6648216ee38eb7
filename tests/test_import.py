"""The package is light to import, and every public name is there."""

import subprocess
import sys

import pytest

import napari_sam as ns

HEAVY = {"torch", "napari", "dask", "zarr", "qtpy", "ipywidgets"}


@pytest.mark.slow
def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, napari_sam; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "napari_sam" in loaded
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.slow
def test_prompts_are_public_without_torch() -> None:
    code = "import sys, napari_sam as ns; ns.Click(1, 2); print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert answer == "False"


@pytest.mark.parametrize("name", ns.__all__)
def test_a_public_name_resolves(name: str) -> None:
    assert getattr(ns, name) is getattr(ns, name)
    assert name in dir(ns)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sessoin'"):
        ns.Sessoin  # noqa: B018
