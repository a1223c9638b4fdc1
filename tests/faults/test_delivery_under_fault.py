"""A sender that is killed anywhere, against a Slack that fails at the same time: each message once, none lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alert_examples import START
from lives import Lives
from slack_api import Fault, SlackServer, slack_server

from analytics_platform.alerting.delivery import LEASE
from analytics_platform.alerting.store import SqliteStore

pytestmark = pytest.mark.integration

POST, UPDATE, HISTORY = "chat.postMessage", "chat.update", "conversations.history"
TROUBLES = {
    POST: [
        Fault("status", 429, "ratelimited", retry_after=0),
        Fault("status", 500),
        Fault("status", 500, after_the_work=True),
        Fault("error", error="internal_error", after_the_work=True),
        Fault("hang_up"),
        Fault("hang_up", after_the_work=True),
        Fault("page", after_the_work=True),
    ],
    UPDATE: [Fault("status", 500), Fault("hang_up", after_the_work=True)],
    HISTORY: [Fault("status", 500), Fault("hang_up")],
}
PASSES = 16
ROUNDS_OF_CI = 8


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        server.clock = START.timestamp()
        yield server


class Office:
    """A home whose outbox is emptied, pass after pass, while time goes on."""

    def __init__(self, victims: Lives, home: Path, slack: SlackServer) -> None:
        self.victims, self.home, self.slack = victims, home, slack
        home.mkdir(exist_ok=True)
        (home / "slack").write_text(slack.address)
        victims.run_undisturbed(home, "tell")
        self.now = START + timedelta(minutes=1)

    def deliver(self, kill_at: int = 0) -> int:
        """One pass; the points that it passed, where it came to its end."""
        (self.home / "now").write_text(self.now.isoformat())
        self.now += LEASE + timedelta(minutes=31)
        self.slack.clock = max(self.slack.clock, self.now.timestamp())
        life = self.victims.run("deliver", self.home, "kill" if kill_at else "none", kill_at)
        assert life.died or life.done, life
        return life.points

    def states(self) -> set[str]:
        with SqliteStore(self.home / "alerts.sqlite").transaction() as session:
            return {each.state for each in session.outbox()}

    def keys(self) -> Counter[str]:
        """Idempotency keys of all that Slack shows."""
        return Counter(each["metadata"]["event_payload"]["key"] for each in self.slack.all_posted)


def test_a_sender_that_is_killed_anywhere_leaves_each_message_once(
    victims: Lives,
    fault_seed: int,
    rounds: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    dice = random.Random(fault_seed)
    with slack_server() as calm:
        calm.clock = START.timestamp()
        office = Office(victims, tmp_path / "calm", calm)
        points = office.deliver()
        expected = office.keys()
        assert (office.states(), set(expected.values())) == ({"sent"}, {1})
    chosen = dice.sample(range(1, points + 1), min(points, max(1, rounds // ROUNDS_OF_CI)))
    for number, at in enumerate(chosen):
        with slack_server() as slack:
            slack.clock = START.timestamp()
            office = Office(victims, tmp_path / str(number), slack)
            for method, faults in TROUBLES.items():
                slack.fail(method, *dice.sample(faults, dice.randint(0, len(faults))))
            office.deliver(kill_at=at)
            for _ in range(PASSES):
                if office.states() == {"sent"}:
                    break
                office.deliver()
            assert (office.keys(), office.states()) == (expected, {"sent"}), f"killed at {at}"
    record_property("rounds", f"{len(chosen)} of {points}")
