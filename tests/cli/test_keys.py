"""`analytics keys`: what a person and a script see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analytics_platform.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    return tmp_path


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def answer(*arguments: str) -> dict[str, Any]:
    done = keys(*arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def test_a_new_key_is_shown_once_with_the_place_where_it_belongs(home: Path) -> None:
    done = keys("create", "delta-events", "web", "--kind", "browser", "--site", "marketing")
    (plain,) = (line.strip() for line in done.output.splitlines() if line.startswith("  wk_"))
    assert done.output.count(plain) == 1
    assert "writeKey" in done.output
    assert plain not in keys("list").output
    assert not any(plain in path.read_text() for path in home.rglob("*") if path.is_file())


def test_a_rotation_says_until_when_the_former_key_works() -> None:
    first = answer("create", "delta-events", "web", "--kind", "server")
    second = answer("rotate", "delta-events", "web", "--overlap", "12h")
    assert first["write_key"] != second["write_key"]
    assert second["former"][0]["state"] == "expiring"
    assert second["former"][0]["fingerprint"] == first["fingerprint"]
    assert "works until" in keys("rotate", "delta-events", "web").output


def test_revoked_keys_are_listed_only_when_asked_for() -> None:
    assert [key["state"] for key in answer("revoke", "delta-events", "server")["revoked"]] == ["revoked"]
    names = [key["name"] for key in answer("list", "--tenant", "delta-events")["keys"]]
    assert names == ["browser", "import", "marketing", "scanner"]
    assert "revoked" in keys("list", "--tenant", "delta-events", "--all").output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("create", "nobody", "web", "--kind", "server"), 1, "known tenants"),
        (("create", "delta-events", "server", "--kind", "server"), 1, "analytics keys rotate"),
        (("create", "delta-events", "Web", "--kind", "server"), 1, "snake_case"),
        (("revoke", "delta-events", "web"), 1, "valid keys of delta-events"),
        (("rotate", "delta-events", "server", "--overlap", "soon"), 2, "7d, 12h or 30m"),
        (("create", "delta-events", "web", "--kind", "robot"), 2, "robot"),
    ],
)
def test_what_cannot_be_done_is_one_error_that_says_the_mend(arguments: tuple[str, ...], code: int, said: str) -> None:
    done = keys(*arguments)
    assert done.exit_code == code
    assert said in done.output


def test_an_import_knows_its_sender_by_a_key_of_this_deployment_also_after_its_end(tmp_path: Path) -> None:
    plain = answer("create", "delta-events", "site", "--kind", "browser", "--site", "marketing")["write_key"]
    keys("revoke", "delta-events", "site")
    page = {"type": "page", "messageId": "m-1", "timestamp": "2026-01-15T09:30:00Z", "writeKey": plain}
    path = tmp_path / "pages.ndjson"
    path.write_text(json.dumps(page))
    done = CliRunner().invoke(main, ["import", str(path), "--json"])
    assert json.loads(done.output)["days"] == [{"day": "2026-01-15", "tenant_id": "delta-events"}]
