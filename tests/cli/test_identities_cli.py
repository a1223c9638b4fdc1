"""`analytics identities`: rotate, find, reveal; and what goes on record of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from analytics_platform.cli import main
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.store import LocalStore

TENANT, OTHER = "delta-events", "albion-stage"
EMAIL, PHONE = "jan.jansen@example.nl", "+31 6 12345678"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which two people have been identified."""
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    land(tmp_path, identify("m-1", "usr_1", {"email": EMAIL, "phone": PHONE}))
    land(tmp_path, identify("m-2", "usr_2", {"email": EMAIL.upper()}), identify("m-3", "usr_3", {"name": "Piet"}))
    return tmp_path


def identify(message_id: str, user_id: str, traits: dict[str, Any]) -> dict[str, Any]:
    said = {"type": "identify", "messageId": message_id, "userId": user_id, "timestamp": "2026-01-15T09:30:00Z"}
    return said | {"writeKey": f"demo-{TENANT}-server", "traits": traits}


def land(home: Path, *messages: dict[str, Any]) -> None:
    path = home / "messages.ndjson"
    path.write_bytes(b"\n".join(map(orjson.dumps, messages)))
    done = CliRunner().invoke(main, ["import", str(path)])
    assert done.exit_code == 0, done.output
    store = LocalStore(home / "lake")
    take = IdentitiesTable(store, IdentityKeys(home / "identity_keys.json")).take
    build_partitions(store, streams=["product"], partitions=landed_partitions(store), identifiers=take)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["identities", *arguments, "--by", "ann"])


def answer(*arguments: str) -> dict[str, Any]:
    done = call(*arguments, "--json")
    assert done.exit_code == 0, done.output
    said: dict[str, Any] = json.loads(done.output)
    return said


def test_a_person_is_found_by_each_identifier_with_the_ids_that_came_with_it() -> None:
    found = answer("find", "--tenant", TENANT, "--email", " Jan.Jansen@EXAMPLE.nl")
    assert [each["user_id"] for each in found["seen"]] == ["usr_1", "usr_2"]
    assert found["seen"][0]["first"] == found["seen"][0]["last"] == "2026-01-15"

    by_phone = answer("find", "--tenant", TENANT, "--phone", "0031612345678")
    assert [each["user_id"] for each in by_phone["seen"]] == ["usr_1"]
    by_id = answer("find", "--tenant", TENANT, "--id", "usr_1")
    assert {each["reference"].partition("_")[0] for each in by_id["seen"]} == {"email", "phone"}


def test_after_a_rotation_a_person_is_found_under_both_versions(home: Path) -> None:
    assert answer("rotate", "--tenant", TENANT)["version"] == 2
    land(home, identify("m-9", "usr_9", {"email": EMAIL}))

    found = answer("find", "--tenant", TENANT, "--email", EMAIL)

    assert [reference[:9] for reference in found["references"]] == ["email_k1_", "email_k2_"]
    assert [each["user_id"] for each in found["seen"]] == ["usr_1", "usr_2", "usr_9"]


def test_a_reference_is_opened_for_its_tenant_alone() -> None:
    reference = answer("find", "--tenant", TENANT, "--email", EMAIL)["references"][0]

    revealed = answer("reveal", reference, "--tenant", TENANT, "--reason", "request 7")
    assert revealed["values"] == [EMAIL.upper(), EMAIL]
    refused = call("reveal", reference, "--tenant", OTHER, "--reason", "request 7")
    assert refused.exit_code == 1
    assert "no such reference" in refused.output


def test_each_goes_on_record_without_the_value(home: Path) -> None:
    reference = answer("find", "--tenant", TENANT, "--email", EMAIL)["references"][0]
    answer("reveal", reference, "--tenant", TENANT, "--reason", "request 7")
    answer("rotate", "--tenant", TENANT)

    entries = list(EvidenceChain(LocalStore(home / "lake")).entries())
    kinds = ["identity_sought", "identity_revealed", "identity_keys_rotated"]
    assert [(each.kind, each.subject, each.by) for each in entries] == [(kind, TENANT, "ann") for kind in kinds]
    assert entries[1].said["reason"] == "request 7"
    record = b"".join(each.as_bytes() for each in entries)
    assert EMAIL.encode() not in record.lower()
    assert reference.encode() not in record


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("find", "--tenant", TENANT), "give one of --email"),
        (("find", "--tenant", TENANT, "--email", EMAIL, "--ip", "1.2.3.4"), "give one of --email"),
        (("find", "--tenant", "nobody", "--email", EMAIL), "known tenants"),
        (("rotate", "--tenant", "nobody"), "known tenants"),
    ],
)
def test_what_cannot_be_asked_says_why(arguments: tuple[str, ...], said: str) -> None:
    done = call(*arguments)
    assert done.exit_code != 0
    assert said in done.output
