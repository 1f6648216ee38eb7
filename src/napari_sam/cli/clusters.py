"""The dask cluster that a command works on: one of this machine, or one that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_sam.cli.everything_request import EverythingRequest
from napari_sam.cli.request import RequestError

if TYPE_CHECKING:
    from distributed import Client

PATIENCE_S = 30


@contextmanager
def cluster_client(request: EverythingRequest) -> Iterator[Client | None]:
    """A client for as long as the command needs it, None for this process alone.

    Raises
    ------
    RequestError
        Both kinds of cluster, dask.distributed is not installed, or nobody answers.
    """
    if request.workers is None and request.scheduler is None:
        yield None
        return
    if request.workers is not None and request.scheduler is not None:
        raise RequestError(
            "--workers starts processes on this machine, --scheduler uses a cluster "
            "that runs; got both."
        )
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise RequestError(
            "--workers and --scheduler need dask.distributed, which is not installed: "
            "pip install 'napari-sam-zarr[distributed]'."
        ) from error
    if request.scheduler is not None:
        try:
            client = Client(request.scheduler, timeout=PATIENCE_S)
        except (OSError, ValueError, TimeoutError) as error:
            raise RequestError(
                f"--scheduler needs the address of a dask scheduler, such as "
                f"tcp://host:8786; {request.scheduler} does not answer: {error}."
            ) from error
        with client:
            yield client
        return
    # A worker has one model, which uses the cores that it is given.
    with (
        LocalCluster(
            n_workers=request.workers, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
