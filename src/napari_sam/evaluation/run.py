"""Evaluate data sets plane by plane, in this process or in several."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from napari_sam.errors import EvaluationError, ImageError
from napari_sam.evaluation.datasets import AnnotatedPlane, Dataset
from napari_sam.evaluation.protocol import (
    EvaluationOptions,
    PlaneResult,
    evaluate_plane,
)
from napari_sam.evaluation.results import ResultsFolder
from napari_sam.model.window_model import WindowModel


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that every process can load for itself.

    Parameters
    ----------
    name
        A registry name, or a path to weights.
    device, precision
        As `load_model` takes them.
    """

    name: str
    device: str = "auto"
    precision: str = "auto"

    def load(self, threads: int | None = None) -> WindowModel:
        """Load the weights; None: as many threads as torch thinks best."""
        # Loading torch takes seconds, which those who only read reports do not have.
        import torch  # noqa: PLC0415

        from napari_sam.model import load_model  # noqa: PLC0415

        if threads is not None:
            torch.set_num_threads(threads)
        return load_model(self.name, self.device, precision=self.precision)


def evaluate(
    datasets: Sequence[Dataset],
    model: WindowModel | ModelSource,
    output: Path,
    options: EvaluationOptions | None = None,
    *,
    jobs: int = 1,
    on_plane: Callable[[PlaneResult], None] | None = None,
) -> list[PlaneResult]:
    """Prompt for every object of every plane.

    Parameters
    ----------
    datasets
        Whose objects.
    model
        What predicts; with several jobs a source, since each loads it.
    output
        A folder, in which finished planes are kept: the same call goes on where an
        earlier one stopped.
    options
        How to prompt.
    jobs
        Processes that work side by side.
    on_plane
        Called with each plane's result as it comes.

    Returns
    -------
    list of PlaneResult
        In the order of the planes, whoever finished first.

    Raises
    ------
    ImageError
        Two data sets of one name, or none of them with a plane.
    EvaluationError
        The folder holds other results, several jobs would share one model, or one of
        their processes was ended from outside.
    """
    options = options or EvaluationOptions()
    names = [dataset.name for dataset in datasets]
    planes = [plane for dataset in datasets for plane in dataset.planes]
    if len(set(names)) != len(names) or not planes:
        raise ImageError(
            "An evaluation needs data sets of different names and at least one plane, "
            f"got {names} with {len(planes)} planes."
        )
    if jobs > 1 and not isinstance(model, ModelSource):
        raise EvaluationError("Several jobs need a ModelSource, which each can load.")
    loaded = model.load() if isinstance(model, ModelSource) else model
    settings = {**asdict(options), "model": loaded.fingerprint}
    folder = ResultsFolder(output, settings)
    done: dict[AnnotatedPlane, PlaneResult] = {}
    for plane in planes:
        result = folder.load(plane)
        if result is not None:
            done[plane] = result
            _report(on_plane, result)
    left = [plane for plane in planes if plane not in done]
    if jobs > 1 and isinstance(model, ModelSource):
        results = _in_processes(left, model, options, jobs)
    else:
        results = ((plane, evaluate_plane(plane, loaded, options)) for plane in left)
    for plane, result in results:
        folder.save(plane, result)
        done[plane] = result
        _report(on_plane, result)
    return [done[plane] for plane in planes]


def _report(
    on_plane: Callable[[PlaneResult], None] | None, result: PlaneResult
) -> None:
    if on_plane is not None:
        on_plane(result)


def _in_processes(
    planes: Sequence[AnnotatedPlane],
    source: ModelSource,
    options: EvaluationOptions,
    jobs: int,
) -> Iterator[tuple[AnnotatedPlane, PlaneResult]]:
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # Forked processes and torch's threads do not go together.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        waiting = {
            pool.submit(_work, source, threads, plane, options): plane
            for plane in planes
        }
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise EvaluationError(
                f"One of {jobs} processes was ended from outside, as systems do when "
                "memory runs out. Finished planes are kept: run this again with fewer "
                "jobs."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@cache
def _loaded(source: ModelSource, threads: int) -> WindowModel:
    """A worker process loads its model once, for all its planes."""
    return source.load(threads)


def _work(
    source: ModelSource,
    threads: int,
    plane: AnnotatedPlane,
    options: EvaluationOptions,
) -> PlaneResult:
    return evaluate_plane(plane, _loaded(source, threads), options)
