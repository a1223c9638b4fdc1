"""What is said of backends that cannot be reached, with every secret set: whatever fails, no secret is in the words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hostile_home import NOBODY, SECRETS, environment, tenants
from planted import found_in

from analytics_platform.cli import main

BACKENDS = {
    "store": {"LAKE_URL": "s3://lake", "LAKE_S3_ENDPOINT": NOBODY, "LAKE_S3_REGION": "eu-west-1"},
    "dagster": {
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_PORT": "9",
        "DAGSTER_POSTGRES_SSLMODE": "disable",
    },
    "warehouse": {
        "WAREHOUSE": "snowflake",
        "SNOWFLAKE_ACCOUNT": "org-one",
        "SNOWFLAKE_PRIVATE_KEY_FILE": "key.pem",
        "SNOWFLAKE_HOST": "127.0.0.1",
        "SNOWFLAKE_PORT": "9",
    },
    "slack": {},
}


@pytest.mark.parametrize("probe", BACKENDS)
def test_the_doctor_names_what_fails_and_no_secret(probe: str, tmp_path: Path) -> None:

    (tmp_path / "tenants.yaml").write_text(yaml.safe_dump(tenants()))
    (tmp_path / "key.pem").write_text(f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{SECRETS['write_key']}\n")
    set_here = {
        f"ANALYTICS_{name}": value.replace("key.pem", f"{tmp_path}/key.pem") for name, value in BACKENDS[probe].items()
    }
    variables = environment(tmp_path / "home") | set_here
    done = CliRunner().invoke(main, ["doctor", "--only", probe, "--timeout", "300", "--json"], env=variables)
    assert isinstance(done.exception, SystemExit), done.exception
    assert '"outcome": "fail"' in done.output
    assert found_in(done.output.lower().encode(), SECRETS.values()) == set()
