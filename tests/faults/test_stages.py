"""Each stage is disturbed at any call to the disk, run again, and ends as one that was not: same bytes, nothing over.

The seed is fixed; `--fault-seed N` takes another, `--rounds N` more rounds (as many as there are calls: all of them).
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
from disturbance import Kind
from lives import Lives, differences, lives

pytestmark = pytest.mark.integration

KINDS: tuple[Kind, ...] = ("kill", "torn", "full", "failing")
ROUNDS_OF_CI = 8
"""One in so many of `--rounds`."""


@dataclass(frozen=True)
class Stage:
    """What is disturbed, what has to be there before, what follows, and who judges."""

    before: tuple[str, ...]
    stage: str
    after: tuple[str, ...]
    judge: str


BROUGHT_IN = ("furnish", "first_half")
STAGES = {
    "import": Stage(BROUGHT_IN, "bring_in", ("build_raw", "load", "publish_extract"), "judge_messages"),
    "ship": Stage((*BROUGHT_IN, "take_in"), "ship", ("build_raw", "load", "publish_extract"), "judge_messages"),
    "raw": Stage((*BROUGHT_IN, "bring_in"), "build_raw", ("load", "publish_extract"), "judge_messages"),
    "load": Stage((*BROUGHT_IN, "bring_in", "build_raw"), "load", ("publish_extract",), "judge_messages"),
    "publish": Stage((*BROUGHT_IN, "bring_in", "build_raw", "load"), "publish_extract", (), "judge_messages"),
    "retention": Stage(("prepare_removal",), "remove", (), "judge_removal"),
    "erasure": Stage(("prepare_erasure",), "erase", (), "judge_erasure"),
    "identity keys": Stage((), "make_keys", (), "judge_keys"),
}


@pytest.fixture(scope="module")
def victims() -> Iterator[Lives]:
    with lives() as running:
        yield running


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

    def round(self, kind: Kind, at: int) -> list[str]:
        """Disturb the stage, run it again with all that follows; what is then otherwise than it should be."""
        with self._home() as home:
            life = self.victims.run(self.stage.stage, home, kind, at)
            again = () if life.done else ("expire_lock", self.stage.stage)
            self.victims.run_undisturbed(home, *again, *self.stage.after)
            found = self.victims.judged(self.stage.judge, home)
        return [f"{kind} at {at} ({life.said}): {each}" for each in differences(found, self.expected)]

    @contextmanager
    def _home(self) -> Iterator[Path]:
        home = self.folder / "home"
        shutil.copytree(self.folder / "before", home)
        yield home
        shutil.rmtree(home)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_that_is_disturbed_anywhere_and_run_again_ends_as_one_that_was_not(
    name: str,
    victims: Lives,
    rounds: int,
    fault_seed: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    trial = Trial(victims, STAGES[name], tmp_path)
    every = [(kind, at) for kind in KINDS for at in range(1, trial.points + 1)]
    chosen = random.Random(f"{fault_seed} {name}").sample(every, min(len(every), max(1, rounds // ROUNDS_OF_CI)))
    wrong = [each for kind, at in chosen for each in trial.round(kind, at)]
    assert wrong == []
    record_property("rounds", f"{len(chosen)} of {len(every)}")


assert set(KINDS) < set(get_args(Kind))
