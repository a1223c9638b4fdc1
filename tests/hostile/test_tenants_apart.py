"""Attacks of one tenant on another where nothing else tests them (docs/tenant-isolation.md names all of them)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from known_keys import KEYS, SEALS, gate_of

from analytics_platform.catalog import Audience, Catalog, Tenant
from analytics_platform.governance.access.pages import opened_as
from analytics_platform.governance.access.policy import pages_policy
from analytics_platform.identities.sealing import UnsealedError
from analytics_platform.identities.suppression import Suppression, Suppressions, subject_hash
from analytics_platform.identities.table import opened_identifiers
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.importer import import_paths
from analytics_platform.intake.outcomes import Admitted, Reason, Rejected, WriteKeyContext
from analytics_platform.intake.replay import Selection, dead_letters
from analytics_platform.lake import layout
from analytics_platform.lake.dead_letters import DeadLetter, parse_letter
from analytics_platform.lake.store import LocalStore
from analytics_platform.portal.shelf import Shelf
from analytics_platform.reporting.page import payload_element
from asset_checks.published import pages_hold_only_their_tenant

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
DAY = date(2026, 1, 15)
ONE, OTHER = "brabant-rental", "albion-stage"
EMAIL = "somebody@both.example"
ALIKE = ("acme", "acme-2", "acme_2", "acme2", "acm")
"""Tenants of whom each is easily taken for another: by a prefix, by a pattern, by a name within a name."""


def key_of(tenant: str) -> WriteKeyContext:
    return WriteKeyContext(tenant, "server", "server", "product")


def page_of(tenant: str, **more: Any) -> bytes:
    said = {"type": "page", "messageId": f"m-{tenant}", "timestamp": "2026-02-01T11:00:00Z", "userId": "usr_7"}
    return orjson.dumps(said | {"context": {"traits": {"email": EMAIL}}, "integrations": {"to": EMAIL}} | more)


def landed(gate: Gate, raw: bytes, tenant: str) -> dict[str, Any]:
    outcome = gate.admit(raw, received_at=NOW, key=key_of(tenant))
    assert isinstance(outcome, Admitted), outcome
    line: dict[str, Any] = orjson.loads(outcome.line)
    return line


def test_nobody_is_told_whether_another_tenant_exists(catalog: Catalog) -> None:
    gate = gate_of(catalog)
    answers = set()
    for stated in (OTHER, "nobody-at-all", "../x"):
        raw = page_of(ONE, properties={"tenant_id": stated})
        outcome = gate.admit(raw, received_at=NOW, key=key_of(ONE))
        assert isinstance(outcome, Rejected)
        assert outcome.reason is Reason.TENANT_MISMATCH
        answers.add((outcome.detail, outcome.tenant))
    assert len(answers) == 1


def test_what_one_gate_remembers_of_a_tenant_is_no_use_to_another(catalog: Catalog) -> None:
    """Parts of messages that come again are split once, and references and seals are kept: each for its tenant."""
    gate = gate_of(catalog)
    first, second, again = (landed(gate, page_of(ONE), tenant) for tenant in (ONE, OTHER, ONE))
    assert first == again
    for part in ("context", "extra", "identifiers"):
        assert first[part] != second[part]
    assert {value for _, _, value in opened_identifiers(KEYS.of(ONE), first["identifiers"])} == {EMAIL}
    with pytest.raises(UnsealedError):
        opened_identifiers(KEYS.of(OTHER), first["identifiers"])


def test_a_letter_put_under_another_tenants_name_does_not_open() -> None:
    line = DeadLetter("unknown_event", "x", page_of(ONE), DAY, ONE).sealed(SEALS).line
    assert parse_letter(line, SEALS).raw == page_of(ONE)
    with pytest.raises(UnsealedError):
        parse_letter(line.replace(ONE.encode(), OTHER.encode()), SEALS)


def test_who_looks_at_a_tenants_letters_sees_no_other_tenants(
    store: LocalStore, catalog: Catalog, tmp_path: Path
) -> None:
    lines = [
        orjson.dumps({**orjson.loads(page_of(tenant)), "event": f"odd {tenant}", "type": "track", **_key(tenant)})
        for tenant in (ONE, OTHER)
    ]
    (tmp_path / "a.ndjson").write_bytes(b"\n".join(lines))
    report = import_paths([tmp_path / "a.ndjson"], catalog=catalog, store=store, identities=KEYS, now=NOW)
    assert report.reasons == {"unknown_event": 2}
    for tenant in (ONE, OTHER):
        found = [each.letter for each in dead_letters(store, Selection(tenant=tenant), SEALS)]
        assert [orjson.loads(letter.raw)["event"] for letter in found] == [f"odd {tenant}"]
        assert {letter.tenant for letter in found} == {tenant}


def test_who_was_erased_at_one_tenant_is_still_somebody_at_another(catalog: Catalog) -> None:
    erased = Suppression("er-1", NOW, {subject_hash(KEYS.of(ONE), "usr_7"): "erased_1"})
    gate = gate_of(catalog, suppressed=lambda: Suppressions({ONE: (erased,)}))
    refused = gate.admit(page_of(ONE), received_at=NOW, key=key_of(ONE))
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.ERASED
    assert landed(gate, page_of(OTHER), OTHER)["user_id"] == "usr_7"
    # A statement that lies under the wrong tenant covers nobody: its hashes are by the other one's key.
    misplaced = gate_of(catalog, suppressed=lambda: Suppressions({OTHER: (erased,)}))
    assert landed(misplaced, page_of(OTHER), OTHER)["user_id"] == "usr_7"


def test_places_of_tenants_whose_names_are_alike_hold_nothing_of_each_other(store: LocalStore) -> None:
    for tenant in ALIKE:
        store.put(layout.landing_key(DAY, tenant, NOW, "import", "0" * 16), b"x")
        store.put(layout.identities_key("crm", DAY, tenant), b"x")
        store.put(layout.suppression_key(tenant, "er-1"), b"x")
    for tenant in ALIKE:
        for prefix in (
            layout.landing_prefix(DAY, tenant),
            layout.identities_prefix(tenant),
            layout.suppression_prefix(tenant),
        ):
            assert len(store.list(prefix)) == 1, prefix


def test_pages_of_tenants_whose_names_are_alike_are_opened_by_their_own(store: LocalStore, alike: Catalog) -> None:
    policy = pages_policy(alike)
    monday = NOW.date() - timedelta(days=NOW.weekday() + 7)
    keys = {
        tenant: [
            f"dashboards/executive_overview/{Audience('tenant_viewer', tenant).name}.html",
            layout.weekly_report_key(monday, tenant, "html"),
        ]
        for tenant in ALIKE
    }
    everything = [key for own in keys.values() for key in own]
    for key in everything:
        store.put(key, b"<!doctype html>")
    shelf = Shelf(store, NOW.date)
    for tenant in ALIKE:
        viewer = Audience("tenant_viewer", tenant)
        opened = [key for key in everything if opened_as(policy, [viewer], key)]
        assert opened == keys[tenant]
        assert sorted(f"{each.stem}.html" for each in shelf.of(policy, viewer, alike)) == sorted(keys[tenant])


def test_a_tenant_whose_name_holds_anothers_is_no_leak_and_anothers_name_still_is() -> None:
    names = {"acme": "Acme", "acme-2": "Acme Two", "zeta": "Zeta"}
    for tenant, text, passes in (
        ("acme-2", "Acme Two, acme-2", True),
        ("acme-2", "Zeta", False),
        ("acme", "acme-2", False),
    ):
        page = {Audience("tenant_viewer", tenant): f"<p>{text}</p>{payload_element({})}".encode()}
        assert pages_hold_only_their_tenant(page, names).passed is passes


@pytest.fixture(scope="module")
def alike(catalog: Catalog) -> Catalog:
    """A catalogue whose tenants are easily taken for one another."""
    model: Tenant = catalog.tenants[ONE]
    tenants = {name: model.model_copy(update={"tenant_id": name, "name": name.upper()}) for name in ALIKE}
    return catalog.model_copy(update={"tenants": tenants})


def _key(tenant: str) -> dict[str, str]:
    return {"writeKey": f"demo-{tenant}-server"}
