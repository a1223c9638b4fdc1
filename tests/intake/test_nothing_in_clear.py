"""The gate's own test: a person planted in every place of a message, searched for in every byte that was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captured import captured_messages
from hypothesis import given
from hypothesis import strategies as st
from known_keys import KEYS, gate_of
from planted import BROKEN, EMAIL, NOT_KEPT, PLANTED, messages, survivors

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.identifiers import DirectIdentifiers
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.references import REFERENCE
from analytics_platform.identities.sealing import TenantSeals, UnsealedError, unseal
from analytics_platform.identities.table import IdentitiesTable, read_identities
from analytics_platform.intake.envelope import Parts
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.identifiers import Splitter
from analytics_platform.intake.importer import import_paths
from analytics_platform.intake.outcomes import Admitted, Rejected, WriteKeyContext
from analytics_platform.intake.replay import Selection, dead_letters
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.dead_letters import compressed
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.store import LocalStore

TENANT, OTHER = "brabant-rental", "albion-stage"
NOW = datetime(2026, 11, 22, 18, 16, tzinfo=UTC)
KEY = WriteKeyContext(TENANT, "server", "server", "product")


def lines() -> bytes:
    own = [orjson.dumps(message) for message in messages(TENANT)]
    real = [orjson.dumps(each.message) for each in captured_messages() if "properties" not in each.message]
    return b"\n".join([*own, BROKEN, *real])


def imported(folder: Path, store: LocalStore, catalog: Catalog, keys: IdentityKeys) -> None:
    path = folder / "export.ndjson"
    path.write_bytes(lines())
    import_paths([path], catalog=catalog, store=store, identities=keys, tenant=TENANT, now=NOW + timedelta(days=9))
    take = IdentitiesTable(store, keys).take
    build_partitions(store, streams=list(catalog.streams), partitions=landed_partitions(store), identifiers=take)


def opened(store: LocalStore, keys: IdentityKeys, tenant: str = TENANT) -> set[str]:
    return {unseal(keys.of(tenant), row["sealed"]).decode() for row in read_identities(store, TENANT).to_pylist()}


def test_nothing_that_was_imported_stands_in_clear_and_all_of_it_opens_again(
    tmp_path: Path, store: LocalStore, catalog: Catalog
) -> None:
    keys = IdentityKeys(tmp_path / "keys.json")
    imported(tmp_path, store, catalog, keys)

    assert survivors(store.root) == set()
    assert set(PLANTED) - NOT_KEPT <= opened(store, keys)
    assert "a@example.test" in opened(store, keys)  # of a real client
    with pytest.raises(UnsealedError):
        opened(store, keys, OTHER)
    letters = b"".join(each.letter.raw for each in dead_letters(store, Selection(), TenantSeals(keys)))
    assert BROKEN in letters
    assert EMAIL.encode() in letters


def test_the_search_finds_what_was_not_split_off(tmp_path: Path, store: LocalStore) -> None:
    """The positive control: a copy of the same messages, as landing and as Parquet, without the gate."""
    store.put("landing/day=2026-11-22/tenant=t/a.ndjson.zst", compressed(lines()))
    assert survivors(tmp_path / "lake" / "landing") == set(PLANTED)

    folder = tmp_path / "parquet"
    folder.mkdir()
    pq.write_table(pa.table({"raw": [line.decode() for line in lines().split(b"\n")]}), folder / "a.parquet")
    assert survivors(folder) == set(PLANTED)


def test_a_landed_message_keeps_its_shape_and_all_else(catalog: Catalog) -> None:
    sent = messages(TENANT)[0]
    line = landed(gate_of(catalog), sent)

    assert line["traits"]["visits"] == 7
    assert line["traits"]["plan"].startswith("gold for email_k1_")
    assert line["context"]["device"]["model"] == "X1"
    assert line["context"]["externalIds"][0]["type"] == "crm"
    assert line["context"]["userAgent"] == sent["context"]["userAgent"]
    assert line["context"]["library"] == sent["context"]["library"]
    assert line["context"]["page"]["url"].startswith("https://app.test/a?next=%2Fb%3Fmail%3Demail_k1_")
    assert line["context"]["page"]["url"].endswith("&x=1")
    assert REFERENCE.fullmatch(line["user_id"])
    assert line["context"]["traits"]["EMail"] == line["traits"]["email"]
    assert set(line["context"]) == set(sent["context"])


def test_an_id_that_is_an_address_is_the_same_reference_as_the_address_in_traits(catalog: Catalog) -> None:
    line = landed(gate_of(catalog), messages(TENANT)[0] | {"userId": EMAIL.lower()})
    assert line["user_id"] == line["traits"]["email"]


def test_refusals_repeat_no_identifier(catalog: Catalog) -> None:
    refused = gate_of(catalog).admit(orjson.dumps(messages(TENANT)[3]), received_at=NOW, key=KEY)
    assert isinstance(refused, Rejected)
    assert "signed up ***" in refused.detail


def rules(declared: DirectIdentifiers) -> dict[str, DirectIdentifiers]:
    """The catalogue's identifiers with one rule dropped, by the rule."""
    dropped = {
        f"{part}.{name}": declared.model_copy(
            update={part: {k: v for k, v in getattr(declared, part).items() if k != name}}
        )
        for part in ("context", "patterns")
        for name in getattr(declared, part)
        if name not in ("device.advertisingId", "device.token")
    }
    kept = ("email", "phone", "firstName", "lastName", "address", "clubs")
    for name in kept:
        traits = {kind: tuple(n for n in names if n != name) for kind, names in declared.traits.items()}
        changed = {"traits": traits, "kept_traits": (*declared.kept_traits, name)}
        dropped[f"traits.{name}"] = declared.model_copy(update=changed)
    return dropped


def leaks(catalog: Catalog, folder: Path) -> set[str]:
    folder.mkdir()
    gate = gate_of(catalog)
    outcomes = [gate.admit(orjson.dumps(each), received_at=NOW, key=KEY) for each in messages(TENANT)[:3]]
    (folder / "lines").write_bytes(b"".join(each.line for each in outcomes if isinstance(each, Admitted)))
    return survivors(folder)


def test_whichever_rule_is_dropped_the_search_finds_it(catalog: Catalog, tmp_path: Path) -> None:
    assert leaks(catalog, tmp_path / "whole") == set()

    missed = [
        rule
        for number, (rule, declared) in enumerate(rules(catalog.direct_identifiers).items())
        if not leaks(catalog.model_copy(update={"direct_identifiers": declared}), tmp_path / str(number))
    ]
    # The patterns find those without their names: two ways to the same.
    assert set(missed) <= {"traits.email", "traits.phone", "context.ip"}


addresses = st.from_regex(r"[a-z]{1,8}([.+_-][a-z0-9]{1,5})?@[a-z]{2,8}\.(nl|com|example)", fullmatch=True)
harmless = st.none() | st.booleans() | st.integers(-9, 10**9) | st.text(alphabet="abc é_", max_size=6)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.text(alphabet="abcdé", max_size=4)
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))


@given(value=nested(harmless | st.tuples(st.just("at"), addresses)), within=st.sampled_from(["{}", "x {} y", "<{}>,"]))
def test_no_address_survives_in_any_json_and_all_else_is_unchanged(splitter: Splitter, value: Any, within: str) -> None:
    planted: set[str] = set()

    def with_addresses(each: Any) -> Any:
        if isinstance(each, tuple):
            planted.add(each[1])
            return within.format(each[1])
        if isinstance(each, dict):
            return {name: with_addresses(below) for name, below in each.items()}
        return [with_addresses(below) for below in each] if isinstance(each, list) else each

    sent = {"props": with_addresses(value)}
    keys = KEYS.of(TENANT)
    split = splitter.split(Parts("m", None, None, sent, None, None, None), None, keys)

    said = orjson.dumps(split.properties).decode()
    assert not any(address in said for address in planted)
    assert {value for _, _, value in split.identifiers} == planted
    for reference, _, address in split.identifiers:
        said = said.replace(reference, address)
    assert orjson.loads(said) == sent


@pytest.fixture(scope="module")
def splitter(catalog: Catalog) -> Splitter:
    return Splitter(catalog)


def landed(gate: Gate, message: dict[str, Any]) -> dict[str, Any]:
    outcome = gate.admit(orjson.dumps(message), received_at=NOW, key=KEY)
    assert isinstance(outcome, Admitted), outcome
    line: dict[str, Any] = orjson.loads(outcome.line)
    return line
