"""The identities table: taken in once, however often a build is repeated, and opened by its tenant's keys alone."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from analytics_platform.identities import table
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.references import reference
from analytics_platform.identities.sealing import UnsealedError, unseal
from analytics_platform.identities.table import (
    IDENTITIES_SCHEMA,
    ForeignIdentitiesError,
    IdentitiesTable,
    opened_identifiers,
    read_identities,
    read_object,
    sealed_identifiers,
)
from analytics_platform.lake.dead_letters import compressed
from analytics_platform.lake.landed_identifiers import Landed, LandedIdentifiers, UnclaimedIdentifiersError
from analytics_platform.lake.layout import digest, identities_key, landing_key, raw_key
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.removals import Removed, state_removals
from analytics_platform.lake.schema import LANDING_COLUMNS, landing_line
from analytics_platform.lake.store import LocalStore

DAY, HOUR = date(2026, 1, 15), datetime(2026, 1, 15, 10, tzinfo=UTC)
TENANT, OTHER = "brabant-rental", "albion-stage"
EMAIL = "jan.jansen@example.nl"


@pytest.fixture
def keys(tmp_path: Path) -> IdentityKeys:
    return IdentityKeys(tmp_path / "identity_keys.json")


def sealed(keys: IdentityKeys, *values: str, tenant: str = TENANT) -> str:
    of = keys.of(tenant)
    found = sealed_identifiers(of, [(reference(of.newest, "email", value), "email", value) for value in values])
    assert found is not None
    return found


def said(keys: IdentityKeys, name: str, *values: str, user_id: str | None = "user-1") -> tuple[str, LandedIdentifiers]:
    """A landing object's name, and what one of its lines says."""
    return name, LandedIdentifiers(user_id, None, sealed(keys, *values))


def landed(*lines: tuple[str, LandedIdentifiers]) -> Landed:
    by_object: dict[str, list[LandedIdentifiers]] = defaultdict(list)
    for name, each in lines:
        by_object[name].append(each)
    return Landed(frozenset(by_object), [each for _, each in lines], lambda: by_object)


def land(store: LocalStore, *rows: dict[str, Any]) -> None:
    common = {"day": DAY, "tenant_id": TENANT, "stream": "product", "type": "identify", "payload_hash": "aa"}
    moments = dict.fromkeys(("event_at", "occurred_at", "received_at"), HOUR)
    lines = b"".join(landing_line(dict.fromkeys(LANDING_COLUMNS) | common | moments | row) for row in rows)
    store.put(landing_key(DAY, TENANT, HOUR, "test", digest(lines)), compressed(lines))


def values(store: LocalStore, keys: IdentityKeys) -> dict[str, int]:
    rows = read_identities(store, TENANT).to_pylist()
    return {unseal(keys.of(TENANT), row["sealed"]).decode(): row["messages"] for row in rows}


def test_a_row_says_which_ids_a_reference_came_with_and_how_often(store: LocalStore, keys: IdentityKeys) -> None:
    identities = IdentitiesTable(store, keys)

    identities.take(("product", DAY, TENANT), landed(said(keys, "a", EMAIL), said(keys, "a", EMAIL.upper())))
    identities.take(("product", DAY, TENANT), landed(said(keys, "b", EMAIL, user_id="user-2")))

    found = read_identities(store, TENANT)
    assert found.schema == IDENTITIES_SCHEMA
    assert [(row["user_id"], row["messages"]) for row in found.to_pylist()] == [("user-1", 2), ("user-2", 1)]
    assert {row["reference"] for row in found.to_pylist()} == {reference(keys.of(TENANT).newest, "email", EMAIL)}


def test_lines_that_say_the_same_are_opened_once_and_all_counted(
    store: LocalStore, keys: IdentityKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = sealed(keys, "often@example.nl")
    land(store, *({"message_id": f"m-{number}", "user_id": "user-1", "identifiers": of} for number in range(9)))
    land(store, {"message_id": "m-9", "user_id": "user-2", "identifiers": of})
    opened: list[str] = []
    monkeypatch.setattr(
        table, "opened_identifiers", lambda keys, said: opened.append(said) or opened_identifiers(keys, said)
    )

    build_partitions(
        store, streams=["product"], partitions=[(DAY, TENANT)], identifiers=IdentitiesTable(store, keys).take
    )

    found = [(row["user_id"], row["messages"]) for row in read_identities(store, TENANT).to_pylist()]
    assert found == [("user-1", 9), ("user-2", 1)]
    assert opened == [of]


def test_a_build_that_is_repeated_counts_nothing_twice(store: LocalStore, keys: IdentityKeys) -> None:
    key = identities_key("product", DAY, TENANT)
    IdentitiesTable(store, keys).take(("product", DAY, TENANT), landed(said(keys, "a", EMAIL)))
    once = store.get(key)

    again = said(keys, "a", EMAIL)
    IdentitiesTable(store, keys).take(("product", DAY, TENANT), landed(again))
    assert store.get(key) == once

    IdentitiesTable(store, keys).take(("product", DAY, TENANT), landed(again, said(keys, "b", EMAIL)))
    assert values(store, keys) == {EMAIL: 2}


def test_a_rotation_between_landing_and_build_keeps_what_was_sealed_before(
    store: LocalStore, keys: IdentityKeys
) -> None:
    before = said(keys, "a", EMAIL)
    keys.rotate(TENANT)

    IdentitiesTable(store, keys).take(("product", DAY, TENANT), landed(before, said(keys, "b", EMAIL)))

    rows = read_identities(store, TENANT).to_pylist()
    assert [row["reference"][:9] for row in rows] == ["email_k1_", "email_k2_"]
    assert {unseal(keys.of(TENANT), row["sealed"]).decode() for row in rows} == {EMAIL}


def test_a_day_that_retention_removed_stays_removed(store: LocalStore, keys: IdentityKeys) -> None:
    state_removals(store, "0" * 64, [Removed("identities", TENANT, DAY)])

    IdentitiesTable(store, keys).take(("product", DAY, TENANT), landed(said(keys, "a", EMAIL)))

    assert read_identities(store, TENANT).num_rows == 0


def test_another_tenants_keys_open_nothing(store: LocalStore, keys: IdentityKeys) -> None:
    IdentitiesTable(store, keys).take(("product", DAY, TENANT), landed(said(keys, "a", EMAIL)))
    (row,) = read_identities(store, TENANT).to_pylist()

    with pytest.raises(UnsealedError, match=OTHER):
        unseal(keys.of(OTHER), row["sealed"])
    assert unseal(keys.of(TENANT), row["sealed"]) == EMAIL.encode()


def test_what_nobody_wrote_as_a_table_is_named(store: LocalStore) -> None:
    key = identities_key("product", DAY, TENANT)
    store.put(key, b"no Parquet")

    with pytest.raises(ForeignIdentitiesError, match=key):
        read_object(store, key)


class TestTheRawBuild:
    def test_hands_on_what_landed_and_keeps_none_of_it_in_raw(self, store: LocalStore, keys: IdentityKeys) -> None:
        land(store, {"message_id": "m-1", "user_id": "user-1", "identifiers": sealed(keys, EMAIL)})
        land(store, {"message_id": "m-2", "user_id": "user-2"})
        take = IdentitiesTable(store, keys).take

        build_partitions(store, streams=["product"], partitions=[(DAY, TENANT)], identifiers=take)
        land(store, {"message_id": "m-3", "user_id": "user-3", "identifiers": sealed(keys, EMAIL, "b@example.nl")})
        build_partitions(store, streams=["product"], partitions=[(DAY, TENANT)], identifiers=take)

        rows = [(row["user_id"], row["messages"]) for row in read_identities(store, TENANT).to_pylist()]
        assert sorted(rows) == [("user-1", 1), ("user-3", 1), ("user-3", 1)]
        raw = scan(store, "product", DAY, DAY).read_all()
        assert raw.num_rows == 3
        assert "identifiers" not in raw.column_names

    def test_that_repeats_one_cut_short_counts_each_landing_object_once(
        self, store: LocalStore, keys: IdentityKeys
    ) -> None:
        take = IdentitiesTable(store, keys).take
        counted: list[dict[str, int]] = []
        for number in range(3):
            of = sealed(keys, EMAIL)
            land(store, {"message_id": f"m-{number}", "user_id": "user-1", "identifiers": of})
            store.delete(raw_key("product", DAY, TENANT))
            build_partitions(store, streams=["product"], partitions=[(DAY, TENANT)], identifiers=take)
            counted.append(values(store, keys))

        assert counted == [{EMAIL: 1}, {EMAIL: 2}, {EMAIL: 3}]

    def test_fails_before_it_loses_any(self, store: LocalStore, keys: IdentityKeys) -> None:
        land(store, {"message_id": "m-1", "identifiers": sealed(keys, EMAIL)})

        with pytest.raises(UnclaimedIdentifiersError, match="identifiers="):
            build_partitions(store, streams=["product"], partitions=[(DAY, TENANT)])

        assert store.list("raw/") == []
