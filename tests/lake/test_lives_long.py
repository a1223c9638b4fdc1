"""Lives of a lake: landing, builds, late lines, lost and removed objects in any order, beside a model of a few lines.

The model keeps every line that ever landed and derives from the rules in words: of one id the line received first stays
(then the smaller hash), a loser with its payload is a duplicate, each other payload a conflict, and what retention has
removed never comes back. The lake must say the same at every moment, whatever was built when.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from landed_lines import DAY, HOUR, line

from analytics_platform.lake.changes import stale_partitions
from analytics_platform.lake.dead_letters import compressed
from analytics_platform.lake.layout import digest, landing_key, placed, raw_key
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.removals import Removed, state_removals
from analytics_platform.lake.store import LocalStore

STREAM = "product"
DAYS = (DAY, DAY + timedelta(days=1))
TENANTS = ("brabant-rental", "oslo-events")
PARTITIONS = [(day, tenant) for day in DAYS for tenant in TENANTS]


@dataclass(frozen=True, order=True)
class Landed:
    """What tells one line from another: id, minutes of receipt after the hour, hash of the payload."""

    message_id: str
    minute: int
    payload: str

    def as_line(self, day: date, tenant: str) -> bytes:
        received = HOUR + timedelta(minutes=self.minute)
        return line(self.message_id, day=day, tenant_id=tenant, received_at=received, payload_hash=self.payload)


@dataclass
class Account:
    """The model of one partition: its lines by landing object, and the objects whose lines raw holds."""

    objects: dict[str, tuple[Landed, ...]] = field(default_factory=dict)
    built: set[str] = field(default_factory=set)
    is_removed: bool = False

    def lines(self) -> list[Landed]:
        return [each for key in self.built for each in self.objects[key]]

    def rows(self) -> dict[str, tuple[int, str]]:
        by_id = defaultdict(list)
        for each in self.lines():
            by_id[each.message_id].append((each.minute, each.payload))
        return {message_id: min(found) for message_id, found in by_id.items()}

    def conflicts(self) -> int:
        return len({(each.message_id, each.payload) for each in self.lines()}) - len(self.rows())


LINES = strategies.lists(
    strategies.builds(
        Landed,
        message_id=strategies.sampled_from(["a", "b", "c", "d"]),
        minute=strategies.integers(0, 3),
        payload=strategies.sampled_from(["00000000000000aa", "00000000000000bb", "00000000000000cc"]),
    ),
    min_size=1,
    max_size=5,
)
PLACES = strategies.sampled_from(PARTITIONS)


class LakeLives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="lake-lives-"))
        self.store = LocalStore(self.folder)
        self.model = {place: Account() for place in PARTITIONS}
        self.written = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(place=PLACES, lines=LINES)
    def lines_land(self, place: tuple[date, str], lines: list[Landed]) -> None:
        data = b"".join(each.as_line(*place) for each in lines)
        self.written += 1
        key = landing_key(*place, HOUR, f"writer{self.written}", digest(data))
        self.store.put(key, compressed(data), if_none_match=True)
        self.model[place].objects[key] = tuple(lines)

    @rule(places=strategies.sets(PLACES, min_size=1))
    def partitions_are_built(self, places: set[tuple[date, str]]) -> None:
        build_partitions(self.store, streams=[STREAM], partitions=sorted(places))
        for place in places:
            account = self.model[place]
            if not account.is_removed:
                account.built |= account.objects.keys()

    @rule(place=PLACES)
    def landing_that_raw_holds_is_let_go(self, place: tuple[date, str]) -> None:
        for key in self.model[place].built:
            self.store.delete(key)

    @rule(place=PLACES)
    def a_raw_object_is_lost_and_its_landing_is_whole(self, place: tuple[date, str]) -> None:
        account = self.model[place]
        if account.built and all(self.store.info(key) for key in account.built):
            self.store.delete(raw_key(STREAM, *place))
            account.built = set()

    @rule(tenant=strategies.sampled_from(TENANTS))
    def retention_removes_the_first_day(self, tenant: str) -> None:
        account = self.model[DAYS[0], tenant]
        removed = Removed(f"raw.{STREAM}", tenant, DAYS[0], plan=tenant)
        state_removals(self.store, sha256(tenant.encode()).hexdigest(), [removed])
        self.store.delete(raw_key(STREAM, DAYS[0], tenant))
        account.is_removed, account.built = True, set()

    @invariant()
    def raw_has_the_rows_of_the_model(self) -> None:
        rows = scan(self.store, STREAM, DAYS[0], DAYS[-1]).read_all().to_pylist()
        found = {
            (row["day"], row["tenant_id"], row["message_id"]): (
                (row["received_at"] - HOUR) // timedelta(minutes=1),
                row["payload_hash"],
            )
            for row in rows
        }
        assert len(found) == len(rows)
        assert found == {(*place, name): row for place, each in self.model.items() for name, row in each.rows().items()}

    @invariant()
    def the_ledger_accounts_for_every_line(self) -> None:
        ledger = ledger_rows(self.store, DAYS[0], DAYS[-1])
        assert unbalanced(ledger).num_rows == 0
        booked = {(row["day"], row["tenant_id"]): row for row in ledger.to_pylist() if row["stream"] == STREAM}
        for place, account in self.model.items():
            if account.is_removed or not account.objects:
                assert not account.is_removed or place not in booked
                continue
            row, lines = booked[place], account.lines()
            said = {name: row[name] for name in ("received", "accepted", "duplicates", "dead_lettered", "pending")}
            assert said == {
                "received": len(lines),
                "accepted": len(account.rows()),
                "duplicates": len(lines) - len(account.rows()) - account.conflicts(),
                "dead_lettered": account.conflicts(),
                "pending": sum(len(account.objects[key]) for key in account.objects.keys() - account.built),
            }

    @invariant()
    def exactly_what_lacks_lines_is_stale(self) -> None:
        assert set(stale_partitions(self.store, streams=[STREAM])) == {
            place
            for place, each in self.model.items()
            if not each.is_removed and any(self.store.info(key) for key in each.objects.keys() - each.built)
        }

    @rule()
    def another_order_gives_the_same_rows(self) -> None:
        """A lake that got all the landing at once holds the same rows as one that grew."""
        landed = [info.key for info in self.store.list("landing/")]
        if {placed(key).name for key in landed} != {placed(k).name for a in self.model.values() for k in a.objects}:
            return  # some were let go: only this lake has their rows
        with_all = LocalStore(Path(mkdtemp(dir=self.folder, prefix=".at-once-")))
        for key in landed:
            with_all.put(key, self.store.get(key))
        places = [place for place, each in self.model.items() if each.built == set(each.objects) and each.built]
        build_partitions(with_all, streams=[STREAM], partitions=places)
        for place in places:
            assert with_all.get(raw_key(STREAM, *place)) == self.store.get(raw_key(STREAM, *place))


LakeLives.TestCase.settings = settings(max_examples=300, stateful_step_count=18, deadline=None)
test_the_lake_lives_as_its_model_does = LakeLives.TestCase
