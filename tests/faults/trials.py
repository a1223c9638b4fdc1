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
class Trial:
    """A stage, what is there before it, and what an undisturbed process makes of that.

    Plans and approvals name paths, so every round is played at one place.
    """

    victims: Lives
    stage: Stage
    folder: Path
    points: int = 0
    expected: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        home, before = self.folder / "home", self.folder / "before"
        home.mkdir()
        self.victims.run_undisturbed(home, *self.stage.before)
        home.rename(before)
        with self._home() as home:
            self.points = self.victims.run_undisturbed(home, self.stage.stage)
            self.victims.run_undisturbed(home, *self.stage.after)
            self.expected = self.victims.judged(self.stage.judge, home)

    def round(self, kind: Kind, at: int, *, seconds: float | None = None) -> list[str]:
        """Disturb the stage, run it again with all that follows; what is then otherwise than it should be."""
        with self._home() as home:
            life = self.victims.run(self.stage.stage, home, kind, at, seconds=seconds)
            again = () if life.done else ("expire_lock", self.stage.stage)
            self.victims.run_undisturbed(home, *again, *self.stage.after)
            found = self.victims.judged(self.stage.judge, home)
        where = f"{at}" if seconds is None else f"{seconds:.3f} s"
        return [f"{kind} at {where} ({life.said}): {each}" for each in differences(found, self.expected)]

    @contextmanager
    def _home(self) -> Iterator[Path]:
        home = self.folder / "home"
        shutil.copytree(self.folder / "before", home)
        yield home
        shutil.rmtree(home)
