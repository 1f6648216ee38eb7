"""Whatever is done in whatever order, the store holds what plain numpy holds."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy_labels import (
    SHAPE,
    Add,
    Erase,
    NumpyLabels,
    Operation,
    Paint,
    Replace,
    Turn,
    perform,
)

from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.labels import (
    LabelGeometry,
    LabelOptions,
    LabelStore,
    OverlapRule,
)

GEOMETRY = LabelGeometry.of_shape("zyx", SHAPE)


def boxes() -> st.SearchStrategy[Box]:
    def box(corner: tuple[int, int], size: tuple[int, int]) -> Box:
        y, x = corner
        return Box(y, x, min(y + size[0], SHAPE[1]), min(x + size[1], SHAPE[2]))

    corners = st.tuples(st.integers(0, SHAPE[1] - 1), st.integers(0, SHAPE[2] - 1))
    sizes = st.tuples(st.integers(1, 45), st.integers(1, 45))
    return st.builds(box, corners, sizes)


ADDS = st.builds(
    Add,
    plane=st.integers(0, SHAPE[0] - 1),
    box=boxes(),
    rule=st.sampled_from(list(OverlapRule)),
    seed=st.integers(0, 2**32 - 1),
)
PARTS = st.builds(
    Add,
    plane=st.integers(0, SHAPE[0] - 1),
    box=boxes(),
    rule=st.sampled_from([OverlapRule.KEEP, OverlapRule.OVERWRITE]),
    seed=st.integers(0, 2**32 - 1),
    label_id=st.integers(1, 5),
)
PAINTS = st.builds(
    Paint,
    plane=st.integers(0, SHAPE[0] - 1),
    box=boxes(),
    seed=st.integers(0, 2**32 - 1),
)
REPLACEMENTS = st.builds(
    Replace,
    plane=st.integers(0, SHAPE[0] - 1),
    box=boxes(),
    seed=st.integers(0, 2**32 - 1),
    label_id=st.integers(1, 5),
)
TURNS = st.builds(Turn, edit=st.integers(0, 8), forward=st.booleans())
ERASES = st.builds(Erase, label_id=st.integers(1, 5))
REOPEN = "reopen"
STEPS = st.lists(
    st.one_of(ADDS, ADDS, PARTS, PAINTS, REPLACEMENTS, ERASES, TURNS, st.just(REOPEN)),
    min_size=1,
    max_size=10,
)


@pytest.fixture(autouse=True, scope="module")
def no_flushing() -> Iterator[None]:
    """Save time: only a power cut could tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("labels")
    return (folder / f"{number}.zarr" for number in range(10**6))


def check(store: LabelStore, model: NumpyLabels) -> None:
    for number, level in enumerate(store.levels):
        step = 2**number
        np.testing.assert_array_equal(level[:], model.volume[:, ::step, ::step])
    assert store.next_id == model.next_id
    alive = {record.label_id for record in store.records()}
    assert alive <= set(np.unique(model.volume).tolist())
    for label_id in range(1, model.next_id):
        assert store.area(label_id) == np.count_nonzero(model.volume == label_id)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_a_store_does_what_numpy_does(
    version: str, places: Iterator[Path], steps: list[Operation | str]
) -> None:
    path, model, edits = next(places), NumpyLabels(), list[int]()
    options = LabelOptions(
        version=version, chunk_size=16, shard_size=32, coarsest_size=16
    )
    store = LabelStore.open(path, GEOMETRY, options=options)
    for step in steps:
        if isinstance(step, str):
            store.close()
            store = LabelStore.open(path)
        elif isinstance(step, Turn) and step.edit >= len(edits):
            continue
        elif model.perform(step):
            perform(store, edits, step)
        else:
            with pytest.raises(LabelError):
                perform(store, edits, step)
    check(store, model)
    store.close()
    with LabelStore.open(path, mode="r") as again:
        check(again, model)
