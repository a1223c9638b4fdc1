"""`analytics doctor`: what people and scripts see, and that it always comes back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analytics_platform.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("ANALYTICS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments])


def test_a_home_that_is_not_made_yet_passes_and_is_not_made(home: Path) -> None:
    done = doctor("--only", "disk", "--only", "store", "--only", "warehouse", "--only", "spool")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("disk        ok      home: ")
    assert done.output.endswith("\n11 ok, 1 skipped\n")
    assert not home.exists()
    assert list(home.parent.iterdir()) == []


def test_what_fails_is_told_with_its_mend_under_it_and_ends_with_code_1(home: Path) -> None:
    home.mkdir()
    (home / "settings.yaml").write_text("collector_spool_max_bytes: 4096\nportal_login: local\n")
    done = doctor("--only", "settings")
    assert done.exit_code == 1
    line, mend = done.output.splitlines()[1:3]
    assert line.startswith("            fail    choices: collector_spool_max_bytes is less than one")
    assert mend == " " * 20 + "→ set collector_spool_max_bytes to many times collector_segment_bytes"
    assert done.output.endswith("1 ok, 1 failed\n")


def test_a_broken_settings_file_is_a_finding_and_no_traceback(home: Path) -> None:
    home.mkdir()
    (home / "settings.yaml").write_text("slack_token: [xoxb-SECRET")
    done = doctor("--only", "portal")
    assert done.exit_code == 1
    assert "is no YAML of settings" in done.output
    assert "skipped who can sign in: the settings do not load" in done.output
    assert "SECRET" not in done.output


def test_scripts_get_every_finding_as_json(home: Path) -> None:
    done = doctor("--only", "settings", "--only", "slack", "--json")
    answer: dict[str, Any] = json.loads(done.output)
    assert (answer["passed"], answer["ok"], answer["fail"], answer["skipped"]) == (True, 1, 0, 1)
    assert [probe["probe"] for probe in answer["probes"]] == ["settings", "slack"]
    assert set(answer["probes"][0]["findings"][0]) == {"outcome", "looked_at", "found", "mend"}


def test_a_name_that_is_no_probe_is_wrong_usage() -> None:
    done = doctor("--only", "stroe")
    assert done.exit_code == 2
    assert "did you mean store? known probes are settings, versions, clock" in done.output


@pytest.mark.parametrize("no_colour", [True, False])
def test_colours_are_for_terminals_and_for_who_wants_them(monkeypatch: pytest.MonkeyPatch, no_colour: bool) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    assert ("\x1b[32m" in doctor("--only", "settings").output) is not no_colour


def test_a_host_that_never_answers_is_left_alone_and_the_process_ends(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.listen(64)
        environment = {
            **os.environ,
            "ANALYTICS_LAKE_URL": "s3://lake",
            "ANALYTICS_LAKE_S3_ENDPOINT": f"http://127.0.0.1:{deaf.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "analytics_platform.cli", "doctor", "--only", "store", "--timeout", "2"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1, done.stderr
    assert "it went on for more than 2 s" in done.stdout
    assert time.monotonic() - start < 45  # the client alone would have waited six times 60 s
    assert not home.exists()
