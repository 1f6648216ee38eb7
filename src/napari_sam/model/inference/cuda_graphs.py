"""A network on a GPU, recorded once for each size of batch and then played back.

What a batch of windows needs is a few hundred kernels, and a GPU would wait for Python
to launch them. Recording takes one run, where compiling takes minutes and a compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

import torch
from torch import Tensor

WARM_UPS = 2
"""Runs before recording: libraries and kernels are loaded and chosen in them."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A graph, where it reads from and where it writes to."""

    graph: torch.cuda.CUDAGraph
    given: Tensor
    result: Tensor


class Recorded:
    """A function of one tensor, recorded for each shape that it is given.

    Parameters
    ----------
    function
        Works on the GPU alone: it never reads a number.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function
        self._recordings: dict[torch.Size, Recording] = {}
        self._lock = Lock()
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, given: Tensor) -> Tensor:
        """Return what the function does; threads take turns."""
        with self._lock, torch.cuda.device(given.device):
            recording = self._recordings.get(given.shape)
            if recording is None:
                # Convolutions round to TensorFloat-32 by default, even of float32.
                with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                    recording = self._record(given)
                self._recordings[given.shape] = recording
            recording.given.copy_(given)
            recording.graph.replay()
            # The next batch overwrites it; threads may be on streams of their own.
            result = recording.result.clone()
            torch.cuda.current_stream().synchronize()
            return result

    def _record(self, given: Tensor) -> Recording:
        static = given.clone()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call, unused-ignore]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._function(static)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate meanwhile, which is none of this graph's business.
        # Graphs share their memory: only one plays at a time.
        with torch.cuda.graph(
            graph, pool=self._pool, capture_error_mode="thread_local"
        ):
            result = self._function(static)
        return Recording(graph, static, result)
