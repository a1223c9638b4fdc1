"""Each stage is disturbed at any call to the disk, run again, and ends as one that was not: same bytes, nothing over.

The seed is fixed; `--fault-seed N` takes another, `--rounds N` more rounds (as many as there are calls: all of them).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import get_args

import pytest
from disturbance import Kind
from trials import BROUGHT_IN, Homes, Stage, Trial

pytestmark = pytest.mark.integration

KINDS: tuple[Kind, ...] = ("kill", "torn", "full", "failing")
ROUNDS_OF_CI = 20
"""One in so many of `--rounds`."""


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


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_that_is_disturbed_anywhere_and_run_again_ends_as_one_that_was_not(
    name: str,
    homes: Homes,
    rounds: int,
    fault_seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    trial = Trial(homes, STAGES[name])
    every = [(kind, at) for kind in KINDS for at in range(1, trial.points + 1)]
    chosen = random.Random(f"{fault_seed} {name}").sample(every, min(len(every), max(1, rounds // ROUNDS_OF_CI)))
    wrong = [each for kind, at in chosen for each in trial.round(kind, at)]
    assert wrong == []
    record_property("rounds", f"{len(chosen)} of {len(every)}")


assert set(KINDS) < set(get_args(Kind))
