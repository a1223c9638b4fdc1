"""The drill: a home that was built, lost after an erasure and more days, restored, and built on as if nothing was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from defs_house import MRR_EXTRACT, House
from erasure_house import CANARY, MINE, NOON, build, filled_house, problems

from analytics_platform.definitions import build_definitions
from analytics_platform.defs import keys
from analytics_platform.defs.backing_up import make_backup, target_of
from analytics_platform.defs.erasure import erasure_desk
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.defs.restoring import From, Restored, restore_home
from analytics_platform.governance.erasure.links import Given
from analytics_platform.lake.ledger import LEDGER_SCHEMA

pytestmark = pytest.mark.integration

PASSPHRASE = "correct horse battery staple"
LATER = [(NOON + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%M:%SZ") for hour in (1, 2)]
TABLES_OF_ROWS = ("loaded", "staging", "marts")
LEDGER = ", ".join(name for name in LEDGER_SCHEMA.names if name not in ("changed_at", "bytes", "landing_objects"))


def quiet(_done: int, _all: int) -> None: ...


@dataclass(frozen=True)
class Drill:
    """The home that went on undisturbed, and the one that was lost and came back."""

    living: House
    back: House
    restored: Restored


def erase_canary(house: House) -> None:
    desk = erasure_desk(house.settings)
    given = Given(frozenset({CANARY.user, CANARY.lead}), frozenset({("email", CANARY.email)}))
    asked = desk.request(MINE, given, by="ann", reason="art. 17(1)(b)")
    desk.approve(asked.request, asked.plan.hash, by="bob")
    desk.run(asked.request, by="bob")


def go_on(house: House) -> None:
    """More of the day comes in and is built: every table of rows, and of figures those that the rows lead to."""
    for number, at in enumerate(LATER):
        house.land_invoice(f"later{number}", at, MINE)
    rows = [key for key in house.definitions.resolve_all_asset_keys() if keys.layer(key) in TABLES_OF_ROWS]
    figures = MRR_EXTRACT, keys.extract("finance", "invoice_collection_rate")
    assert problems(build(house.up_to(*rows, *figures))) == []


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Drill:
    """Built, backed up; then an erasure, more of a day, and a build; and restored and built the same way."""
    folder = tmp_path_factory.mktemp("drill")
    first = filled_house(tmp_path_factory, folder / "home")
    chosen = {"backup_target": str(folder / "target"), "backup_passphrase": PASSPHRASE}
    settings = type(first.settings)(**{**first.settings.model_dump(exclude_unset=True), **chosen})
    living = House(settings, build_definitions(settings))
    backup = make_backup(settings, target_of(settings), by="ann", progress=quiet)
    erase_canary(living)
    go_on(living)

    home = folder / "back"
    restored = restore_home(settings, From(target_of(settings), backup.backup_id), home, quiet)
    again = settings.model_copy(
        update={
            "home": home,
            "identity_keys_file": home / "identity_keys.json",
            "write_keys_file": home / "write_keys.yaml",
            "backup_target": None,
        }
    )
    back = House(again, build_definitions(again))
    go_on(back)
    return Drill(living, back, restored)


def asked(house: House, sql: str) -> list[dict[str, Any]]:
    return warehouse_from(house.settings).query(sql).to_pylist()


def test_what_was_erased_since_was_erased_again(drill: Drill) -> None:
    assert drill.restored.removed_again > 0
    assert drill.restored.evidence > 0


def test_every_table_has_the_rows_of_the_home_that_went_on(drill: Drill) -> None:
    ours, theirs = drill.back.fingerprint(), drill.living.fingerprint()
    assert ours.keys() == theirs.keys()
    moved = {name for name in ours if ours[name] != theirs[name]}
    assert {name for name in moved if not _is_dated_by_arrival(drill, name)} == set()


def _is_dated_by_arrival(drill: Drill, table: str) -> bool:
    """Whether rows differ in nothing but when they came in: the later ones were imported twice, at two moments."""
    names = warehouse_from(drill.back.settings).query(f"select * from {table} limit 0").column_names
    kept = ", ".join(name for name in names if name not in ("received_at", "identifiers"))
    rows = [sorted(map(str, asked(house, f"select {kept} from {table}"))) for house in (drill.back, drill.living)]
    return rows[0] == rows[1]


def test_the_ledger_is_that_of_the_home_that_went_on(drill: Drill) -> None:
    sql = f"select {LEDGER.replace('watermark, ', '').replace(', watermark', '')} from ops.ledger order by all"
    assert asked(drill.back, sql) == asked(drill.living, sql)


def test_dagster_knows_the_same_partitions(drill: Drill) -> None:
    built = []
    for house in (drill.back, drill.living):
        with open_instance(house.settings) as instance:
            built.append({key: instance.get_materialized_partitions(key) for key in instance.all_asset_keys()})
    assert built[0] == built[1]


def test_the_canary_is_nowhere_in_what_came_back(drill: Drill) -> None:
    traces = [trace.encode() for trace in CANARY.traces]
    home = drill.back.settings.home
    found = [
        path.relative_to(home).as_posix()
        for path in home.rglob("*")
        if path.is_file() and any(trace in path.read_bytes() for trace in traces)
    ]
    assert found == []
