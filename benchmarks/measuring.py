"""Times taken in turns, so that a busy machine slows down all alike; and tables."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds that something took, on the clock and of all processors together."""

    wall: float
    processor: float


def interleaved(
    cases: Mapping[str, Callable[[], object]], repeats: int
) -> dict[str, Taken]:
    """The shortest times of each case, all of them once in every round.

    Neighbours on the machine disturb the clock more than the processors' time.
    """
    walls: dict[str, list[float]] = {name: [] for name in cases}
    processors: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, run in cases.items():
            wall, processor = time.perf_counter(), time.process_time()
            run()
            processors[name].append(time.process_time() - processor)
            walls[name].append(time.perf_counter() - wall)
    return {name: Taken(min(walls[name]), min(processors[name])) for name in cases}


def peak_memory(script: str, *arguments: str) -> float:
    """What a script that is started for it says of its own memory, in GB."""
    answer = subprocess.run(
        [sys.executable, script, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(answer.stdout.split()[-1])


def memory_of(run: Callable[[], object]) -> float:
    """The most memory that something takes beyond what this process has, in GB."""
    before = _resident("VmRSS")
    # Linux only: forgets the peak until now, which may be a parent process's.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    run()
    return _resident("VmHWM") - before


def _resident(name: str) -> float:
    """A fact about this process's memory, in GB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return float(kilobytes) / 1e6


def machine() -> str:
    """Device, versions and date, in a line."""
    device = _processor()
    if torch.cuda.is_available():
        device = f"{torch.cuda.get_device_name()}, {device}"
    return (
        f"{device}, {torch.get_num_threads()} threads, load "
        f"{os.getloadavg()[0]:.1f}; torch {torch.__version__}, numpy "
        f"{np.__version__}, Python {platform.python_version()}; "
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    )


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table under what it is of and where it was made."""
    table = Table(*header, title=title, caption=machine())
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


def _processor() -> str:
    """The processor's name, and how many of it there are."""
    name, facts = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if facts.exists():
        lines = facts.read_text().splitlines()
        named = [line.partition(": ")[2] for line in lines if "model name" in line]
        name = named[0] if named else name
    return f"{os.cpu_count()} x {name}"
