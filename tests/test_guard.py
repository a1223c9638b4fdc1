"""What is done a million times a day has not become markedly dearer, counted in a process of its own."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from benchmarks import guard

LIMITS: dict[str, Any] = {"borne": {"otherwise": 0.1, "exact": 0.0}, "counted": {"loose": 100, "exact": 2}}


def test_nothing_has_markedly_worsened() -> None:
    assert guard.worsened(guard.counted_apart(), guard.limits()) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"loose": 110, "exact": 2}, []),
        ({"loose": 50, "exact": 0}, []),
        ({"loose": 111, "exact": 2}, ["loose: 111 after 100, of which at most 110.0 are borne"]),
        ({"loose": 100, "exact": 3}, ["exact: 3 after 2, of which at most 2.0 are borne"]),
        ({"loose": 100}, ["exact: is counted no more; renew guard.yaml"]),
        ({"loose": 1, "exact": 1, "new": 1}, ["new: not in guard.yaml; renew it"]),
    ],
)
def test_a_count_beyond_what_is_borne_is_named_with_what_it_was(found: dict[str, float], said: list[str]) -> None:
    assert guard.worsened(found, LIMITS) == said


def test_calls_of_python_and_of_c_are_counted_within_the_block_alone() -> None:
    def lengths(of: int) -> list[int]:
        return [len("a") for _ in range(of)]

    tallies = []
    for of in (1, 11):
        with guard.tallied() as tally:
            lengths(of)
        tallies.append(tally.calls)
        lengths(of)
        assert tally.calls == tallies[-1]
    assert tallies[1] - tallies[0] == 10


def test_the_command_fails_when_a_count_has_worsened(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = argparse.Namespace(count=False, write=False)
    known = guard.limits()["counted"]
    assert guard.main(chosen, lambda: dict(known)) == 0
    assert guard.main(chosen, lambda: {**known, "calls to import a message": 1e6}) == 1
    assert "calls to import a message: 1,000,000.0 after" in capsys.readouterr().out
