"""What a step costs: CPU and wall seconds, peak memory of a process of its own, medians over rounds; and bars."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """One step: CPU seconds (user and system, all threads), wall seconds, peak resident memory in MB."""

    cpu: float
    wall: float
    peak_mb: float


def measured(step: Callable[..., None], *arguments: object) -> Measured:
    """Run a step of a module in a fresh process; what it imports is not counted, what its peak memory is."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_timed, (step, arguments))


def median(rounds: Sequence[Measured]) -> Measured:
    """Median CPU and wall seconds, and the highest peak."""
    return Measured(
        statistics.median(step.cpu for step in rounds),
        statistics.median(step.wall for step in rounds),
        max(step.peak_mb for step in rounds),
    )


def held(what: str, found: float, most: float) -> bool:
    """Say whether a bar holds."""
    is_held = found <= most
    print(f"{what:<58}{found:8.3f} of at most {most:.3f}{'' if is_held else '  MISSED'}")
    return is_held


def _timed(step: Callable[..., None], arguments: Sequence[object]) -> Measured:
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    step(*arguments)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(cpu, wall, after.ru_maxrss / 1024)
