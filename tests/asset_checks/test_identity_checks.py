"""The checks of identities: on a lake that the gate wrote, and on one that something came past it into."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.intake.importer import import_paths
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.dead_letters import compressed
from analytics_platform.lake.layout import landing_key, raw_key
from analytics_platform.lake.raw import RAW_SCHEMA, build_partitions
from analytics_platform.lake.schema import LANDING_COLUMNS, landing_line
from analytics_platform.lake.store import LocalStore
from asset_checks.identities import identities_open_with_their_keys, no_identifier_in_clear

TENANT, DAY = "brabant-rental", date(2026, 1, 15)
MOMENT = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
EMAIL = "jan.jansen@example.nl"


@pytest.fixture
def keys(tmp_path: Path) -> IdentityKeys:
    return IdentityKeys(tmp_path / "identity_keys.json")


@pytest.fixture
def lake(store: LocalStore, catalog: Catalog, keys: IdentityKeys, tmp_path: Path) -> LocalStore:
    """What the gate and the raw build make of a message with identifiers, and with what only looks like one."""
    message = {
        "type": "identify",
        "messageId": "m-1",
        "userId": EMAIL,
        "timestamp": MOMENT.isoformat(),
        "traits": {"email": EMAIL, "plan": "gold"},
        "context": {"ip": "203.0.113.7", "library": {"version": "1.2.3.4"}, "userAgent": "Chrome/140.0.0.0"},
        "properties": {"tenant_id": TENANT},
    }
    path = tmp_path / "a.ndjson"
    path.write_bytes(orjson.dumps(message))
    import_paths([path], catalog=catalog, store=store, identities=keys)
    take = IdentitiesTable(store, keys).take
    build_partitions(store, streams=list(catalog.streams), partitions=landed_partitions(store), identifiers=take)
    return store


def past_the_gate(store: LocalStore, **columns: Any) -> tuple[str, str]:
    """A row that nobody has split, in landing and in raw; the keys of the objects."""
    row = dict.fromkeys(LANDING_COLUMNS) | {"day": DAY, "tenant_id": TENANT, "stream": "product", "message_id": "m-2"}
    landing = landing_key(DAY, TENANT, MOMENT, "other", "0" * 16)
    store.put(landing, compressed(landing_line(row | columns)))
    built = raw_key("product", DAY, TENANT)
    texts = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in columns.items()}
    known = {name: value for name, value in (row | texts).items() if name in RAW_SCHEMA.names}
    pq.write_table(pa.Table.from_pylist([known], schema=RAW_SCHEMA), store.root / built)
    return landing, built


def test_what_the_gate_wrote_holds_none(lake: LocalStore, catalog: Catalog) -> None:
    facts = no_identifier_in_clear(catalog, lake, datetime.now(UTC))

    assert facts.passed, facts.offenders
    assert facts.counts["rows"] == 2
    assert facts.checked == 2


@pytest.mark.parametrize(
    ("column", "value", "pattern"),
    [
        ("traits", {"email": EMAIL}, "email"),
        ("properties", {"note": "call +31 20 123 4567"}, "phone"),
        ("context", {"ip": "203.0.113.7"}, "ip_address"),
        ("extra", {EMAIL: 1}, "email"),
        ("user_id", EMAIL, "email"),
    ],
)
def test_what_came_past_it_is_counted_by_object_and_column_and_not_shown(
    lake: LocalStore, catalog: Catalog, column: str, value: Any, pattern: str
) -> None:
    written = past_the_gate(lake, **{column: value})

    facts = no_identifier_in_clear(catalog, lake, datetime.now(UTC))

    assert not facts.passed
    assert sorted(facts.offenders) == sorted(f"{key}: 1 texts of {column} look like {pattern}" for key in written)
    assert EMAIL not in str(facts)


def test_what_lay_there_for_days_was_searched_before(lake: LocalStore, catalog: Catalog) -> None:
    past_the_gate(lake, user_id=EMAIL)
    assert no_identifier_in_clear(catalog, lake, datetime.now(UTC) + timedelta(days=3)).checked == 0


def test_ids_of_things_are_not_people(lake: LocalStore, catalog: Catalog) -> None:
    past_the_gate(lake, properties={"booking_id": "0612345678"})
    assert no_identifier_in_clear(catalog, lake, datetime.now(UTC)).passed


def test_the_identities_of_every_tenant_open_unless_their_keys_are_lost(
    lake: LocalStore, keys: IdentityKeys, catalog: Catalog, tmp_path: Path
) -> None:
    facts = identities_open_with_their_keys(lake, catalog.tenants, keys)
    assert (facts.passed, facts.checked) == (True, 1)

    lost = IdentityKeys(tmp_path / "made_anew.json")
    facts = identities_open_with_their_keys(lake, catalog.tenants, lost)
    assert (facts.passed, facts.failed) == (False, 1)
    assert "does not open" in facts.offenders[0]
