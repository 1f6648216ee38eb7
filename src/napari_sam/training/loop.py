"""The loop: draw, learn, average, examine, save.

A run is a function of its config and images. What is drawn in a step depends on the
seed and the step alone, so a run that was interrupted and goes on from its checkpoint
ends with the very weights of one that was not, on the same machine. Where the length
is given in minutes, the rate follows the share of the time that is used up instead:
a run on a busy machine still ends well, it just takes fewer steps.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from napari_sam.errors import TrainingError
from napari_sam.model import Sam
from napari_sam.model.build import INSTANCE_PREFIX
from napari_sam.training.checkpoints import load_state, save_state
from napari_sam.training.config import Optimisation, Phase, TrainingConfig
from napari_sam.training.log import TrainingLog

SAVE_EVERY = 100  # steps
SAVE_SECONDS = 180.0  # a busy machine takes long for so many steps
LARGEST_GRADIENT = 1.0
GENTLE_STEPS = 50
"""The rate rises over so many steps at least: the first ones have to be small."""

AHEAD = 2  # batches drawn while the network learns, by each thread
DRAWERS_ON_GPU = 8
"""Threads that draw: a GPU learns from a batch in less time than one takes to draw."""


class Task(Protocol):
    """What is learned: where batches come from, and what to lower."""

    sam: Sam
    modules: nn.ModuleDict  # the network, and what only training needs

    def draw(self, step: int, phase: Phase) -> Any:
        """A step's batch, whenever it is drawn; called in another thread."""

    def loss(
        self, batch: Any, step: int, progress: float
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What to lower in this step, and what to report."""

    def examine(self, sam: Sam) -> Mapping[str, float]:
        """How good a network is on what was left out."""


@dataclass(frozen=True, slots=True)
class Report:
    """Where a run is after a step.

    Parameters
    ----------
    step, progress, used_s
        Steps taken, share of the run that is done, time used for learning.
    values
        Losses and the like of this step.
    marks
        Of the examination after it; empty where there was none.
    """

    step: int
    progress: float
    used_s: float
    values: Mapping[str, float]
    marks: Mapping[str, float]


class Trainer:
    """One run: network, optimiser, average, steps taken, time used.

    Parameters
    ----------
    task
        What is learned.
    config
        How.
    device
        Where to train.
    """

    def __init__(
        self, task: Task, config: TrainingConfig, device: torch.device | str = "cpu"
    ) -> None:
        self.task = task
        self.config = config
        self.device = torch.device(device)
        task.modules.to(self.device)
        task.sam.image_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(task.modules, config.optimisation),
            lr=config.optimisation.learning_rate,
            betas=(0.9, 0.98),
        )
        self.drawers = 1 if self.device.type == "cpu" else DRAWERS_ON_GPU
        self.average = AveragedModel(task.sam, avg_fn=self._averaged).eval()
        self.step = 0
        self.used_s = 0.0

    def run(
        self,
        checkpoint: Path,
        log: TrainingLog | None = None,
        on_step: Callable[[Report], None] | None = None,
    ) -> Sam:
        """Train to the end, and return the average of the networks on the way.

        Parameters
        ----------
        checkpoint
            The run goes on from it if it is there, and is saved to it.
        log
            Gets every report.
        on_step
            Called after every step.
        """
        if checkpoint.exists():
            self._load(checkpoint)
        if log is not None:
            log.cut_after(self.step)
        saved_s = time.monotonic()
        with closing(self._batches()) as batches:
            for batch in batches:
                report = self._step(batch)
                if log is not None:
                    log.add(report)
                if on_step is not None:
                    on_step(report)
                is_late = time.monotonic() - saved_s > SAVE_SECONDS
                if self.step % SAVE_EVERY == 0 or is_late:
                    self._save(checkpoint)
                    saved_s = time.monotonic()
        self._save(checkpoint)
        return self.averaged

    @property
    def averaged(self) -> Sam:
        """The average of the networks so far, which is the result."""
        return cast("Sam", self.average.module)

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        if self.config.steps is not None:
            return min(self.step / self.config.steps, 1.0)
        return min(self.used_s / (60 * (self.config.minutes or 0)), 1.0)

    def _step(self, batch: Any) -> Report:
        start_s = time.monotonic()
        values = {name: float(x) for name, x in self._learn(batch).items()}
        self.step += 1
        self.used_s += time.monotonic() - start_s
        marks: Mapping[str, float] = {}
        if self.step % self.config.validation.every == 0 or self.progress == 1:
            marks = self.task.examine(self.averaged)
        return Report(self.step, self.progress, self.used_s, values, marks)

    def _learn(self, batch: Any) -> Mapping[str, Tensor]:
        for group in self.optimizer.param_groups:
            highest = self.config.optimisation.learning_rate * group["rate"]
            group["lr"] = highest * self._rate()
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        loss, told = self.task.loss(batch, self.step, self.progress)
        if not bool(loss.isfinite()):
            raise TrainingError(
                f"The loss needs to be a number, got {float(loss.detach())} in step "
                f"{self.step}. Start anew with a lower learning_rate."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.task.modules.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.average.update_parameters(self.task.sam)
        return told

    def _averaged(self, average: Tensor, current: Tensor, _: Any) -> Tensor:
        """The moving average; a young one forgets faster, so that short runs count."""
        young = (1 + self.step) / (10 + self.step)
        decay = min(self.config.optimisation.average_decay, young)
        return torch.lerp(average, current, 1 - decay)

    def _batches(self) -> Generator[Any, None, None]:
        """Each step's batch, drawn ahead in other threads, until the run is done."""
        ahead: deque[tuple[tuple[int, int], Future[Any]]] = deque()

        def submit(pool: ThreadPoolExecutor, step: int, phase: int) -> None:
            batch = pool.submit(self.task.draw, step, self.config.phase[phase])
            ahead.append(((step, phase), batch))

        with ThreadPoolExecutor(self.drawers, thread_name_prefix="crops") as pool:
            try:
                while self.progress < 1:
                    phase = self.config.phase_at(self.progress)
                    if ahead and ahead[0][0] != (self.step, phase):
                        _drop(ahead)  # a phase began while its batches were drawn
                    while len(ahead) <= AHEAD * self.drawers:
                        submit(pool, self.step + len(ahead), phase)
                    yield ahead.popleft()[1].result()
            finally:
                _drop(ahead)

    def _rate(self) -> float:
        """Share of the highest learning rate in this step."""
        warmup = self.config.optimisation.warmup
        rise = min(self.progress / warmup if warmup else 1.0, 1.0)
        rise = min(max(rise, 1 / GENTLE_STEPS), (self.step + 1) / GENTLE_STEPS)
        fall = max(self.progress - warmup, 0.0) / (1 - warmup)
        return rise * (0.5 + 0.5 * math.cos(math.pi * fall))

    def _save(self, checkpoint: Path) -> None:
        state = {
            "modules": self.task.modules.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "used_s": self.used_s,
        }
        save_state(checkpoint, state, self.config)

    def _load(self, checkpoint: Path) -> None:
        state = load_state(checkpoint, self.config, self.device)
        try:
            self.task.modules.load_state_dict(state["modules"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.used_s = int(state["step"]), float(state["used_s"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise TrainingError(
                f"A run goes on with the network and goal it began with, but "
                f"{checkpoint} is of others. Delete it to start anew, or give another "
                "one with --checkpoint."
            ) from error


def _drop(ahead: deque[tuple[tuple[int, int], Future[Any]]]) -> None:
    for _, batch in ahead:
        batch.cancel()
    ahead.clear()


def _parameter_groups(
    modules: nn.Module, optimisation: Optimisation
) -> list[dict[str, Any]]:
    """Of what learns, matrices decay, and the instance decoder has its own rate."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in modules.named_parameters():
        if parameter.requires_grad:
            kind = (parameter.ndim > 1, INSTANCE_PREFIX in name)
            groups.setdefault(kind, []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": optimisation.weight_decay if is_matrix else 0.0,
            "rate": optimisation.map_rate if is_map else 1.0,
        }
        for (is_matrix, is_map), parameters in groups.items()
    ]
