"""What `analytics init` writes for other backends than the default's, as the doctor sees it then."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from s3_servers import new_bucket, s3_server

from analytics_platform.cli import main


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ANALYTICS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)


def call(home: Path, *arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["--home", str(home), *arguments, "--json"])
    answer: dict[str, Any] = json.loads(done.stdout)
    return {**answer, "code": done.exit_code}


def test_a_bucket_that_is_there_passes_and_one_that_is_not_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics_platform.lake.s3._ATTEMPTS", 1)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with s3_server() as address:
        _, bucket = new_bucket(address)
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        for home, name in ((tmp_path / "a", bucket), (tmp_path / "b", f"{bucket}-nowhere")):
            options = ["--lake", f"s3://{name}/eu", "--endpoint", address, "--region", "eu-central-1"]
            assert call(home, "init", "--yes", *options)["code"] == 0
        there, nowhere = (call(home, "doctor", "--only", "store") for home in (tmp_path / "a", tmp_path / "b"))
    assert (there["code"], there["fail"]) == (0, 0), there
    assert (nowhere["code"], nowhere["fail"]) == (1, 1), nowhere
    finding = nowhere["probes"][0]["findings"][0]
    assert "NoSuchBucket" in finding["found"]
    assert finding["mend"] == "make the bucket, or name another in lake_url"


def test_a_warehouse_that_lets_nobody_in_is_told_with_what_to_look_at(tmp_path: Path) -> None:
    chosen = {"account": "acme-eu", "user": "LOADER", "private_key_file": str(tmp_path / "nowhere.p8")}
    options = [word for name, value in chosen.items() for word in ("--set", f"snowflake_{name}={value}")]
    begun = call(tmp_path, "init", "--yes", "--warehouse", "snowflake", *options)
    assert (begun["code"], begun["passed"]) == (1, False)
    assert [each["looked_at"] for each in begun["probes"][0]["findings"] if each["outcome"] == "fail"] == [
        "snowflake_private_key_file"
    ]
    looked = call(tmp_path, "doctor", "--only", "warehouse", "--timeout", "300")
    (finding,) = looked["probes"][0]["findings"]
    assert finding["found"].startswith("snowflake://acme-eu/analytics does not let LOADER in")
    assert finding["mend"] == "look at the warehouse's address, credentials and role"


def test_a_warehouse_without_its_account_is_no_deployment(tmp_path: Path) -> None:
    refused = call(tmp_path, "init", "--yes", "--warehouse", "snowflake")
    assert (refused["code"], refused["error"]) == (1, "UnusableAnswerError")
    assert refused["what"] == "warehouse is snowflake, which needs snowflake_account too"
    assert list(tmp_path.iterdir()) == []
