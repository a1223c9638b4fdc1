"""A stage on trial: what an undisturbed process makes of a home, and whether a disturbed one comes to the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disturbance import Kind
from lives import Lives, differences

BROUGHT_IN = ("furnish", "first_half")
"""A home to which a first file has come, all the way to a publication."""


@dataclass(frozen=True)
class Stage:
    """What is disturbed, what has to be there before, what follows, and who judges."""

    before: tuple[str, ...]
    stage: str
    after: tuple[str, ...]
    judge: str


@dataclass
class Homes:
    """Homes as undisturbed processes have made them, each made once.

    Plans and approvals name paths, so whoever works does it at one place; what is kept lies beside.
    """

    victims: Lives
    folder: Path
    _kept: dict[tuple[str, ...], tuple[Path, int]] = field(default_factory=dict)

    def after(self, stages: tuple[str, ...]) -> tuple[Path, int]:
        """The home after these stages, and the points that the last of them passed."""
        if stages not in self._kept:
            with self.at_work(stages[:-1]) as home:
                points = self.victims.run_undisturbed(home, *stages[-1:])
                kept = self.folder / str(len(self._kept))
                shutil.copytree(home, kept)
            self._kept[stages] = kept, points
        return self._kept[stages]

    def judged(self, stages: tuple[str, ...], judge: str) -> dict[str, Any]:
        """What is found in the home after these stages."""
        with self.at_work(stages) as home:
            return self.victims.judged(judge, home)

    @contextmanager
    def at_work(self, stages: tuple[str, ...]) -> Iterator[Path]:
        """A copy of the home after these stages, for as long as the block lasts."""
        before = self.after(stages)[0] if stages else None
        home = self.folder / "home"
        if before:
            shutil.copytree(before, home)
        else:
            home.mkdir(parents=True)
        yield home
        shutil.rmtree(home)


class Trial:
    """A stage, and what has to come of it whatever befalls it."""

    def __init__(self, homes: Homes, stage: Stage) -> None:
        self._homes, self._stage = homes, stage
        done = (*stage.before, stage.stage)
        self.points = homes.after(done)[1]
        self._expected = homes.judged((*done, *stage.after), stage.judge)

    def round(self, kind: Kind, at: int, *, seconds: float | None = None) -> list[str]:
        """Disturb the stage, run it again with all that follows; what is then otherwise than it should be."""
        victims, stage = self._homes.victims, self._stage
        with self._homes.at_work(stage.before) as home:
            life = victims.run(stage.stage, home, kind, at, seconds=seconds)
            again = () if life.done else ("expire_lock", stage.stage)
            victims.run_undisturbed(home, *again, *stage.after)
            found = victims.judged(stage.judge, home)
        where = f"{at}" if seconds is None else f"{seconds:.3f} s"
        return [f"{kind} at {where} ({life.said}): {each}" for each in differences(found, self._expected)]
