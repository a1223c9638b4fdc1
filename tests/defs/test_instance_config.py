"""Dagster's configuration follows from settings: where records and logs lie, what is limited, and no secret in it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
import yaml
from moto.server import ThreadedMotoServer
from pydantic import ValidationError

from analytics_platform.catalog import Catalog
from analytics_platform.defs.instance import (
    PASSWORD_VARIABLE,
    InstanceConfigError,
    instance_config,
    open_instance,
    process_environment,
    write_instance_config,
)
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.defs.resources import store_from, warehouse_from
from analytics_platform.defs.retention import sinks_of
from analytics_platform.defs.run_records import databases_of
from analytics_platform.governance.retention.terms import Term
from analytics_platform.settings import Settings, SettingsError

SECRET = "p@ss/w:rd"


def shared(home: Path, **chosen: object) -> Settings:
    return Settings(home=home, dagster_postgres_host="db.internal", dagster_postgres_password=SECRET, **chosen)


def database_in(config: dict[str, Any]) -> dict[str, Any]:
    found = [config[f"{name}_storage"]["config"]["postgres_db"] for name in ("event_log", "run", "schedule")]
    assert found[0] == found[1] == found[2]
    return dict(found[0])


def test_by_default_everything_is_in_files_of_the_home(tmp_path: Path) -> None:
    config = instance_config(Settings(home=tmp_path))
    folders = [config[f"{name}_storage"]["config"]["base_dir"] for name in ("event_log", "run", "schedule")]
    assert all(Path(folder).is_relative_to(tmp_path) for folder in folders)
    assert "compute_logs" not in config
    assert databases_of(Settings(home=tmp_path)) == []


def test_the_password_is_in_the_environment_of_processes_and_in_no_file(tmp_path: Path) -> None:
    settings = shared(tmp_path)
    path = write_instance_config(settings)
    assert SECRET not in path.read_text()
    assert SECRET not in repr(settings)
    assert database_in(yaml.safe_load(path.read_text()))["password"] == {"env": PASSWORD_VARIABLE}
    assert process_environment(settings)[PASSWORD_VARIABLE] == SECRET
    assert PASSWORD_VARIABLE not in process_environment(Settings(home=tmp_path))


def test_a_password_with_signs_of_addresses_reaches_the_database_as_it_is(tmp_path: Path) -> None:
    ((dataset, url),) = databases_of(shared(tmp_path))
    assert (dataset, url.password, url.host) == ("run_records", SECRET, "db.internal")


def test_the_connection_is_encrypted_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    assert database_in(instance_config(shared(tmp_path)))["params"]["sslmode"] == "require"
    strict = shared(
        tmp_path, dagster_postgres_sslmode="verify-full", dagster_postgres_root_certificate=Path("/etc/ca.pem")
    )
    params = database_in(instance_config(strict))["params"]
    assert (params["sslmode"], params["sslrootcert"]) == ("verify-full", "/etc/ca.pem")


def test_the_driver_is_named_since_a_bare_address_means_another_one(tmp_path: Path) -> None:
    assert database_in(instance_config(shared(tmp_path)))["scheme"] == "postgresql+psycopg2"


def test_a_setting_that_cannot_be_is_told_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "")
    monkeypatch.setenv("ANALYTICS_DAGSTER_POSTGRES_PORT", "70000")
    with pytest.raises(SettingsError, match="dagster_postgres_password") as caught:
        Settings.from_environment()
    assert "got ''" not in str(caught.value)


def test_too_few_places_for_both_kinds_of_backfill_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 3"):
        Settings(home=tmp_path, dagster_concurrent_runs=2)


def test_a_run_whose_process_died_is_tried_again_and_one_that_failed_is_not(tmp_path: Path) -> None:
    config = instance_config(Settings(home=tmp_path, dagster_run_hours=2))
    assert config["run_retries"] == {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}
    assert config["run_monitoring"]["max_runtime_seconds"] == 7200


def test_the_warehouse_lets_one_run_in_from_the_first_look_of_the_queue_on(tmp_path: Path) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        assert instance.event_log_storage.get_concurrency_keys() == {WAREHOUSE_POOL}
        assert instance.event_log_storage.get_concurrency_info(WAREHOUSE_POOL).slot_count == 1


def test_a_deployments_own_file_is_used_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "mounted" / "dagster.yaml"
    own.parent.mkdir()
    own.write_text("telemetry: {enabled: false}\n")
    settings = Settings(home=tmp_path, dagster_config_file=own)
    assert write_instance_config(settings) == own
    assert settings.dagster_home == own.parent
    with open_instance(settings) as instance:
        assert instance.root_directory == str(own.parent)
    assert own.read_text() == "telemetry: {enabled: false}\n"


@pytest.mark.parametrize("name", ["dagster.yaml", "instance.yaml"])
def test_a_file_of_ones_own_that_dagster_would_not_read_is_refused(tmp_path: Path, name: str) -> None:
    if name != "dagster.yaml":
        (tmp_path / name).touch()
    with pytest.raises(InstanceConfigError, match=r"dagster_config_file.*dagster\.yaml"):
        write_instance_config(Settings(home=tmp_path, dagster_config_file=tmp_path / name))


def test_records_where_retention_would_not_look_are_refused(tmp_path: Path) -> None:
    own = tmp_path / "dagster.yaml"
    own.write_text("telemetry: {enabled: false}\n")
    settings = Settings(home=tmp_path, dagster_config_file=own, dagster_postgres_host="db.internal")
    with pytest.raises(InstanceConfigError, match="SQLite files"), open_instance(settings):
        pass


@pytest.mark.parametrize(
    ("url", "of_class", "prefix"),
    [
        ("s3://events/team/lake", "LakeS3ComputeLogManager", "team/lake/run_logs"),
        ("s3://events", "LakeS3ComputeLogManager", "run_logs"),
        ("gs://events/lake/", "GCSComputeLogManager", "lake/run_logs"),
    ],
)
def test_what_steps_print_goes_below_the_lake_in_its_bucket(
    tmp_path: Path, url: str, of_class: str, prefix: str
) -> None:
    logs = instance_config(Settings(home=tmp_path, lake_url=url))["compute_logs"]
    assert (logs["class"], logs["config"]["bucket"], logs["config"]["prefix"]) == (of_class, "events", prefix)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (("ACCESS_KEY_ID", "testing"), ("SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=address, region_name="us-east-1").create_bucket(Bucket="events")
    yield address
    server.stop()


@pytest.mark.integration
def test_what_a_step_printed_is_read_from_the_bucket_and_grows_old_there(
    tmp_path: Path, bucket: str, catalog: Catalog
) -> None:
    settings = Settings(
        home=tmp_path,
        lake_url="s3://events/lake",
        lake_s3_endpoint=bucket,
        lake_s3_region="us-east-1",
        lake_s3_path_style=True,
        lake_s3_encryption="AES256",
    )

    @dg.asset
    def talkative() -> None:
        sys.stdout.write("said in passing")
        sys.stdout.flush()

    with open_instance(settings) as instance:
        run = dg.materialize([talkative], instance=instance)
        (captured,) = [each for each in run.all_events if each.event_type_value == "LOGS_CAPTURED"]
        key = [run.run_id, "compute_logs", captured.logs_captured_data.file_key]
        assert instance.compute_log_manager.get_log_data(key).stdout == b"said in passing"
    store = store_from(settings)
    assert [info.key.endswith(".out") for info in store.list("run_logs/")].count(True) == 1
    head = boto3.client("s3", endpoint_url=bucket, region_name="us-east-1").head_object(
        Bucket="events", Key=f"lake/{store.list('run_logs/')[0].key}"
    )
    assert head["ServerSideEncryption"] == "AES256"
    (lake,) = [each for each in sinks_of(settings, catalog, store, warehouse_from(settings)) if each.name == "lake"]
    tomorrow = store.list("run_logs/")[0].modified_at.date().replace(year=2100)
    assert lake.survivors(Term("run_records", "_none", tomorrow)) == 2
    lake.remove(Term("run_records", "_none", tomorrow))
    assert store.list("run_logs/") == []
