"""`analytics dead-letters`: what a person and a script see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from analytics_platform.cli import main
from analytics_platform.cli.dead_letters import masked

_FLOW = {"schema_version": 1, "tenant_id": "delta-events", "flow": "b", "outcome": "completed", "flow_run_id": "r"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))
    return tmp_path


def letters(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["dead-letters", *arguments])


def answer(*arguments: str) -> dict[str, Any]:
    done = letters(*arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def imported(folder: Path, *lines: bytes) -> None:
    path = folder / "late.ndjson"
    path.write_bytes(b"\n".join(lines))
    done = CliRunner().invoke(main, ["import", str(path)])
    assert done.exit_code == 0, done.output


def message(message_id: str, **properties: Any) -> bytes:
    said = {"type": "track", "event": "ui.flow_step", "messageId": message_id, "timestamp": "2026-01-15T09:30:00Z"}
    return orjson.dumps(said | {"writeKey": "demo-delta-events-server", "properties": _FLOW | properties})


def test_letters_are_counted_shown_and_replayed(home: Path) -> None:
    imported(home, message("m-1"), message("m-2", step="dates"), b"\x1b[2J not a message")
    assert answer("list")["total"] == 2
    assert answer("list", "--reason", "schema_violation")["groups"] == [
        {
            "reason": "schema_violation",
            "tenant_id": "delta-events",
            "day": "2026-01-15",
            "stream": "product",
            "letters": 1,
        }
    ]
    shown = letters("show", "--tenant", "delta-events").output
    assert "late.ndjson line 1" in shown
    assert '"writeKey":"***"' in shown
    assert "demo-delta-events-server" not in letters("show", "--json").output
    assert "\x1b" not in letters("show").output
    assert answer("replay") == {
        "replayed": 2,
        "accepted": 0,
        "duplicates": 0,
        "still_dead": 2,
        "not_replayable": 0,
        "reasons": {"invalid_json": 1, "schema_violation": 1},
        "resumed": 0,
    }
    assert "2 still dead" in letters("replay").output


def test_a_lake_without_letters_says_so() -> None:
    assert "No dead letters" in letters("show").output
    assert answer("list") == {"total": 0, "groups": []}


@pytest.mark.parametrize(
    "text",
    ['{"writeKey":"secret"}', '{"WriteKey" : "sec\\"ret"', '{"write_key":"secret', f'"x wk_{"secret" * 5}ab"'],
)
def test_no_write_key_is_printed(text: str) -> None:
    assert "***" in masked(text)
    assert "secret" not in masked(text)
    assert "ret" not in masked(text)


def test_a_reason_that_cannot_be_one_is_one_error() -> None:
    done = letters("list", "--reason", "../landing")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
