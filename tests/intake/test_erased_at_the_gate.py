"""Who was erased does not come back: refused, or severed where the law keeps the record; and rotations of keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from intake_messages import TENANT, flow_step, scan, write
from known_keys import gate_of

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.references import reference, references
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.identities.suppression import Suppression, Suppressions, state_suppression, subject_hash
from analytics_platform.intake.envelope import MAX_EVENT_BYTES
from analytics_platform.intake.gate import MAX_LANDED_BYTES, Gate
from analytics_platform.intake.importer import ImportReport, import_paths
from analytics_platform.intake.outcomes import Admitted, Reason, Rejected
from analytics_platform.intake.replay import Selection, dead_letters, replay
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.store import LocalStore

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
ERASED_AT = datetime(2026, 1, 20, tzinfo=UTC)
EMAIL = "jan.jansen@example.nl"
STAND_IN = "erased_0123456789abcdef01234567"


@pytest.fixture
def keys(tmp_path: Path) -> IdentityKeys:
    return IdentityKeys(tmp_path / "identity_keys.json")


def suppressed(keys: IdentityKeys, *ids: str, through: datetime = ERASED_AT) -> Suppression:
    of = keys.of(TENANT)
    return Suppression("er-1", through, {subject_hash(of, said): STAND_IN for said in ids})


def gate_with(catalog: Catalog, keys: IdentityKeys, *ids: str, **options: Any) -> Gate:
    known = Suppressions({TENANT: (suppressed(keys, *ids, **options),)})
    return gate_of(catalog, identities=keys, suppressed=lambda: known)


def judge(gate: Gate, message: dict[str, Any]) -> Admitted | Rejected:
    return gate.admit(orjson.dumps(message), received_at=NOW)


def landed(outcome: Admitted | Rejected) -> dict[str, Any]:
    assert isinstance(outcome, Admitted), outcome
    line: dict[str, Any] = orjson.loads(outcome.line)
    return line


def identify(message_id: str = "m-i", **more: Any) -> dict[str, Any]:
    said = {"type": "identify", "messageId": message_id, "timestamp": "2026-01-15T09:30:00Z", "userId": "usr_7"}
    return said | {"properties": {"tenant_id": TENANT}, "traits": {"email": EMAIL}} | more


def run(store: LocalStore, catalog: Catalog, keys: IdentityKeys, path: Path) -> ImportReport:
    return import_paths([path], catalog=catalog, store=store, identities=keys, now=NOW)


def test_a_message_from_before_the_erasure_is_refused_and_a_later_one_taken_in(
    catalog: Catalog, keys: IdentityKeys
) -> None:
    gate = gate_with(catalog, keys, "usr_7")

    refused = judge(gate, flow_step("m-1", "2026-01-15T09:30:00Z", userId="usr_7"))
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.stream) == (Reason.ERASED, "product")
    assert "usr_7" not in refused.detail
    assert isinstance(judge(gate, flow_step("m-2", "2026-01-21T09:30:00Z", userId="usr_7")), Admitted)
    assert isinstance(judge(gate, flow_step("m-3", "2026-01-15T09:30:00Z", userId="usr_8")), Admitted)


def test_a_person_named_in_the_context_alone_is_not_taken_in_either(catalog: Catalog, keys: IdentityKeys) -> None:
    gate = gate_with(catalog, keys, "usr_7")

    refused = judge(
        gate, flow_step("m-1", "2026-01-15T09:30:00Z", userId="usr_8", context={"account": {"of": "usr_7"}})
    )

    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.ERASED


def test_a_record_that_the_law_keeps_lands_without_its_person(catalog: Catalog, keys: IdentityKeys) -> None:
    gate = gate_with(catalog, keys, "user-1", "op-1")

    line = landed(judge(gate, scan()))

    assert line["user_id"] == STAND_IN
    assert line["properties"]["operator_ref"] == STAND_IN
    assert line["properties"]["equipment_id"] == "eq-1"
    assert (line["context"], line["traits"], line["extra"], line["identifiers"]) == (None, None, None, None)


def test_a_person_is_known_by_an_identifier_alone_also_over_a_rotation(catalog: Catalog, keys: IdentityKeys) -> None:
    then = reference(keys.of(TENANT).newest, "email", EMAIL)
    gate = gate_with(catalog, keys, then)
    keys.rotate(TENANT)

    refused = judge(gate, identify(userId="somebody-new"))
    severed = landed(judge(gate, scan(userId=EMAIL.upper())))

    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.ERASED
    assert severed["user_id"] == STAND_IN


def test_an_old_file_brings_nobody_back_and_the_account_adds_up(
    store: LocalStore, catalog: Catalog, keys: IdentityKeys, tmp_path: Path
) -> None:
    path = write(tmp_path / "old.ndjson", identify(), scan("m-s", userId="usr_7"), scan("m-o"))
    state_suppression(store, TENANT, suppressed(keys, "usr_7"))

    report = run(store, catalog, keys, path)

    assert (report.read, report.accepted, report.reasons) == (3, 2, {"erased": 1})
    assert report.read == report.accepted + report.duplicates + report.dead_lettered
    (letter,) = (line for info in store.list("dead/") for line in lines_of(store.get(info.key)))
    assert orjson.loads(letter)["raw"] == ""
    assert "sha256" not in orjson.loads(letter)
    again = run(store, catalog, keys, path)
    assert (again.duplicates, again.reasons) == (2, {"erased": 1})


def test_a_letter_that_keeps_nothing_is_not_replayed(
    store: LocalStore, catalog: Catalog, keys: IdentityKeys, tmp_path: Path
) -> None:
    state_suppression(store, TENANT, suppressed(keys, "usr_7"))
    run(store, catalog, keys, write(tmp_path / "old.ndjson", identify()))

    report = replay(store, catalog, Selection(), identities=keys, now=NOW)

    assert (report.replayed, report.not_replayable) == (0, 1)


def test_a_replay_lets_nobody_in_either(
    store: LocalStore, catalog: Catalog, without_scans: Catalog, keys: IdentityKeys, tmp_path: Path
) -> None:
    run(store, without_scans, keys, write(tmp_path / "a.ndjson", scan(userId="usr_7")))
    state_suppression(store, TENANT, suppressed(keys, "usr_7"))

    report = replay(store, catalog, Selection(), identities=keys, now=NOW)

    assert report.accepted == 1
    (line,) = (orjson.loads(line) for info in store.list("landing/") for line in lines_of(store.get(info.key)))
    assert line["user_id"] == STAND_IN


class TestRotation:
    def test_a_retry_over_a_rotation_is_a_duplicate_and_no_conflict(
        self, store: LocalStore, catalog: Catalog, keys: IdentityKeys, tmp_path: Path
    ) -> None:
        sent = identify(messageId=f"mail-{EMAIL}", userId=EMAIL)
        before = run(store, catalog, keys, write(tmp_path / "a.ndjson", sent))
        keys.rotate(TENANT)
        after = run(store, catalog, keys, write(tmp_path / "b.ndjson", sent))

        assert (before.accepted, after.duplicates, after.reasons) == (1, 1, {})

    def test_the_same_person_is_found_under_every_version(self, catalog: Catalog, keys: IdentityKeys) -> None:
        gate = gate_of(catalog, identities=keys)
        first = landed(judge(gate, identify()))["traits"]["email"]
        keys.rotate(TENANT)
        second = landed(judge(gate, identify()))["traits"]["email"]

        assert (first[:9], second[:9]) == ("email_k1_", "email_k2_")
        assert references(keys.of(TENANT), "email", EMAIL.upper()) == (first, second)

    def test_a_process_that_runs_for_long_notices_a_rotation_by_another(self, catalog: Catalog, tmp_path: Path) -> None:
        seconds = iter(range(1_000))
        file = tmp_path / "identity_keys.json"
        running = IdentityKeys(file, clock=lambda: float(next(seconds)))
        gate = gate_of(catalog, identities=running)
        judge(gate, identify())
        IdentityKeys(file).rotate(TENANT)

        assert landed(judge(gate, identify()))["traits"]["email"].startswith("email_k2_")

    def test_letters_of_before_open_after(
        self, store: LocalStore, catalog: Catalog, keys: IdentityKeys, tmp_path: Path
    ) -> None:
        run(store, catalog, keys, write(tmp_path / "a.ndjson", identify(type="unknown")))
        keys.rotate(TENANT)

        (found,) = dead_letters(store, Selection(), TenantSeals(keys))
        assert orjson.loads(found.letter.raw)["traits"] == {"email": EMAIL}


def test_no_message_that_may_be_sent_grows_beyond_what_the_raw_build_reads(catalog: Catalog) -> None:
    """The worst that fits into an event: short values, each of which becomes a reference and a sealed identifier."""
    values: list[Any] = [f"{number:x}" for number in range(5_000)]
    assert len(orjson.dumps(identify(traits={"t": values}))) < MAX_EVENT_BYTES

    outcome = judge(gate_of(catalog), identify(traits={"t": values}))

    assert isinstance(outcome, Rejected) or len(outcome.line) <= MAX_LANDED_BYTES


def test_suppression_covers_up_to_the_moment_itself(catalog: Catalog, keys: IdentityKeys) -> None:
    at = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
    sent = flow_step("m-1", at.isoformat(), userId="usr_7")
    assert isinstance(judge(gate_with(catalog, keys, "usr_7", through=at), sent), Rejected)
    assert isinstance(judge(gate_with(catalog, keys, "usr_7", through=at - timedelta(microseconds=1)), sent), Admitted)
