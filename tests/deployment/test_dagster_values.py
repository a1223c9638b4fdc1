"""The values for the official Dagster chart, key by key, and the instance that its templates make of them.

That chart is not here, so its templates are not rendered. What they write into dagster.yaml is written down below and
given to Dagster, which refuses what does not go together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from dagster._config import process_config
from dagster._config.config_type import ConfigTypeKind
from dagster._config.field import resolve_to_config_type
from dagster._core.errors import DagsterInvalidConfigError
from dagster._core.instance.ref import InstanceRef
from dagster_k8s import K8sRunLauncher
from helm_chart import manifests_of, merged, named, pod_of, values_of

from analytics_platform.defs.compute_logs import LakeS3ComputeLogManager
from analytics_platform.defs.instance import RETRIES, TICKS_KEPT_DAYS, instance_config
from analytics_platform.defs.pools import BACKFILL_TAG, WAREHOUSE_POOL_LIMIT
from analytics_platform.settings import Settings
from analytics_platform.settings_schema import CHART

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values-dagster.yaml").read_text())["dagster"]
NON_ROOT = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
EVENTS = "additionalInstanceConfig.event_log_storage.config.postgres_db"
DATABASE = {
    "username": "dagster",
    "password.env": "DAGSTER_PG_PASSWORD",
    "hostname": "postgres.example.internal",
    "port": 5432,
    "db_name": "dagster",
    "params.sslmode": "require",
    "scheme": "postgresql+psycopg2",
}

EXPECTED: dict[str, Any] = {
    "enabled": True,
    "fullnameOverride": "dagster",
    "rbacEnabled": True,
    "telemetry.enabled": False,
    "serviceAccount.create": True,
    "serviceAccount.name": "dagster",
    "global.postgresqlSecretName": "dagster-postgresql-secret",
    "global.dagsterHome": "/opt/dagster/dagster_home",
    "generatePostgresqlPasswordSecret": False,
    "dagsterWebserver.replicaCount": 0,
    "dagsterWebserver.enableReadOnly": False,
    "dagsterWebserver.workspace.enabled": True,
    "dagsterWebserver.workspace.servers": [],
    "dagsterWebserver.workspace.externalConfigmap": "analytics-workspace",
    "dagster-user-deployments.enabled": True,
    "dagster-user-deployments.enableSubchart": False,
    "dagster-user-deployments.deployments": [],
    "postgresql.enabled": False,
    "postgresql.postgresqlHost": "postgres.example.internal",
    "postgresql.postgresqlUsername": "dagster",
    "postgresql.postgresqlPassword": "",
    "postgresql.postgresqlDatabase": "dagster",
    "postgresql.postgresqlParams.sslmode": "require",
    "postgresql.postgresqlScheme": "postgresql+psycopg2",
    "postgresql.service.port": 5432,
    "runLauncher.type": "K8sRunLauncher",
    "runLauncher.config.k8sRunLauncher.loadInclusterConfig": True,
    "runLauncher.config.k8sRunLauncher.imagePullPolicy": "IfNotPresent",
    "runLauncher.config.k8sRunLauncher.envConfigMaps": [],
    "runLauncher.config.k8sRunLauncher.envSecrets": [],
    "runLauncher.config.k8sRunLauncher.envVars": [],
    "runLauncher.config.k8sRunLauncher.volumes": [],
    "runLauncher.config.k8sRunLauncher.volumeMounts": [],
    "runLauncher.config.k8sRunLauncher.failPodOnRunFailure": True,
    "dagsterDaemon.enabled": True,
    "dagsterDaemon.heartbeatTolerance": 300,
    "dagsterDaemon.image.repository": "registry.example.com/analytics-platform",
    "dagsterDaemon.image.tag": "0.1.0",
    "dagsterDaemon.image.pullPolicy": "IfNotPresent",
    "dagsterDaemon.resources.requests.cpu": "250m",
    "dagsterDaemon.resources.requests.memory": "512Mi",
    "dagsterDaemon.resources.limits.cpu": "1",
    "dagsterDaemon.resources.limits.memory": "1Gi",
    **{f"dagsterDaemon.podSecurityContext.{name}": value for name, value in NON_ROOT.items()},
    "dagsterDaemon.podSecurityContext.seccompProfile.type": "RuntimeDefault",
    "dagsterDaemon.securityContext.allowPrivilegeEscalation": False,
    "dagsterDaemon.securityContext.readOnlyRootFilesystem": True,
    "dagsterDaemon.securityContext.capabilities.drop": ["ALL"],
    "dagsterDaemon.volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
    "dagsterDaemon.volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    "dagsterDaemon.runCoordinator.enabled": True,
    "dagsterDaemon.runCoordinator.type": "QueuedRunCoordinator",
    "dagsterDaemon.runCoordinator.config.queuedRunCoordinator.dequeueIntervalSeconds": 5,
    "dagsterDaemon.runMonitoring.enabled": False,
    "dagsterDaemon.runRetries.enabled": False,
    "dagsterDaemon.sensors.useThreads": True,
    "dagsterDaemon.sensors.numWorkers": 4,
    "dagsterDaemon.schedules.useThreads": True,
    "dagsterDaemon.schedules.numWorkers": 4,
    "retention.enabled": True,
    "retention.schedule.purgeAfterDays": TICKS_KEPT_DAYS,
    "retention.sensor.purgeAfterDays.skipped": 1,
    "retention.sensor.purgeAfterDays.success": TICKS_KEPT_DAYS,
    "retention.sensor.purgeAfterDays.failure": TICKS_KEPT_DAYS,
    "retention.sensor.purgeAfterDays.started": TICKS_KEPT_DAYS,
    "computeLogManager.type": "CustomComputeLogManager",
    "computeLogManager.config.customComputeLogManager.module": "analytics_platform.defs.compute_logs",
    "computeLogManager.config.customComputeLogManager.class": "LakeS3ComputeLogManager",
    "computeLogManager.config.customComputeLogManager.config.bucket": "example-analytics",
    "computeLogManager.config.customComputeLogManager.config.prefix": "lake/run_logs",
    "computeLogManager.config.customComputeLogManager.config.local_dir": "/tmp/compute-logs",
    "computeLogManager.config.customComputeLogManager.config.region": "eu-central-1",
    "computeLogManager.config.customComputeLogManager.config.encryption": "aws:kms",
    "additionalInstanceConfig.event_log_storage.module": "analytics_platform.defs.event_log_postgres",
    "additionalInstanceConfig.event_log_storage.class": "BatchingPostgresEventLogStorage",
    **{f"{EVENTS}.{name}": value for name, value in DATABASE.items()},
    "additionalInstanceConfig.run_monitoring.enabled": True,
    "additionalInstanceConfig.run_monitoring.start_timeout_seconds": 300,
    "additionalInstanceConfig.run_monitoring.free_slots_after_run_end_seconds": 60,
    "additionalInstanceConfig.run_monitoring.max_runtime_seconds": 86400,
    "additionalInstanceConfig.run_monitoring.max_resume_run_attempts": 0,
    "additionalInstanceConfig.run_retries.enabled": True,
    "additionalInstanceConfig.run_retries.max_retries": RETRIES,
    "additionalInstanceConfig.run_retries.retry_on_asset_or_op_failure": False,
    "concurrency.enabled": True,
    "concurrency.pools.granularity": "run",
    "concurrency.pools.defaultLimit": WAREHOUSE_POOL_LIMIT,
    "concurrency.runs.maxConcurrentRuns": 3,
    "concurrency.runs.tagConcurrencyLimits": [
        {"key": "dagster/backfill", "limit": 1},
        {"key": BACKFILL_TAG, "limit": 1},
    ],
    "rabbitmq.enabled": False,
    "redis.enabled": False,
    "flower.enabled": False,
    "ingress.enabled": False,
}


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def instance_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """dagster.yaml as the chart's templates (configmap-instance.yaml and its helpers) make it of these values."""
    database, launcher = values["postgresql"], values["runLauncher"]["config"]["k8sRunLauncher"]
    daemon, logs = values["dagsterDaemon"], values["computeLogManager"]["config"]["customComputeLogManager"]
    postgres = {
        "username": database["postgresqlUsername"],
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": database["postgresqlHost"],
        "db_name": database["postgresqlDatabase"],
        "port": database["service"]["port"],
        "params": database["postgresqlParams"],
        "scheme": database["postgresqlScheme"],
    }
    storages = {
        f"{kind}_storage": {
            "module": f"dagster_postgres.{'event_log' if kind == 'event_log' else f'{kind}_storage'}",
            "class": f"Postgres{name}Storage",
            "config": {"postgres_db": postgres},
        }
        for kind, name in (("schedule", "Schedule"), ("run", "Run"), ("event_log", "EventLog"))
    }
    return {
        **storages,
        "scheduler": {"module": "dagster.core.scheduler", "class": "DagsterDaemonScheduler"},
        "run_launcher": {
            "module": "dagster_k8s",
            "class": values["runLauncher"]["type"],
            "config": {
                "load_incluster_config": launcher["loadInclusterConfig"],
                "job_namespace": "analytics",
                "image_pull_policy": launcher["imagePullPolicy"],
                "service_account_name": values["serviceAccount"]["name"],
                "dagster_home": values["global"]["dagsterHome"],
                "instance_config_map": f"{values['fullnameOverride']}-instance",
                "postgres_password_secret": values["global"]["postgresqlSecretName"],
                "fail_pod_on_run_failure": launcher["failPodOnRunFailure"],
            },
        },
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": daemon["runCoordinator"]["type"],
            "config": snake(daemon["runCoordinator"]["config"]["queuedRunCoordinator"]),
        },
        "compute_logs": logs,
        "sensors": snake(daemon["sensors"]),
        "schedules": snake(daemon["schedules"]),
        "telemetry": values["telemetry"],
        "retention": snake({key: each for key, each in values["retention"].items() if key != "enabled"}),
        "concurrency": snake({key: each for key, each in values["concurrency"].items() if key != "enabled"}),
    }


def snake(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {"".join(f"_{c.lower()}" if c.isupper() else c for c in key): snake(v) for key, v in values.items()}
    return [snake(each) for each in values] if isinstance(values, list) else values


def reference_in(folder: Path, values: Mapping[str, Any]) -> InstanceRef:
    """Of the file with the additional part at its end, as the chart writes it: keys may stand in it twice."""
    texts = (yaml.safe_dump(part) for part in (instance_of(values), values["additionalInstanceConfig"]))
    (folder / "dagster.yaml").write_text("".join(texts))
    return InstanceRef.from_dir(str(folder))


def test_each_key_is_as_it_was_decided() -> None:
    assert dict(leaves(VALUES)) == EXPECTED


def test_dagster_takes_the_instance_that_the_chart_makes_of_them(tmp_path: Path) -> None:
    made = reference_in(tmp_path, VALUES)
    assert made.event_storage_data.class_name == "BatchingPostgresEventLogStorage"
    assert made.run_launcher_data is not None
    assert made.run_launcher_data.class_name == "K8sRunLauncher"
    assert made.settings["run_monitoring"]["max_resume_run_attempts"] == 0


def test_dagster_refuses_limits_that_stand_in_two_places(tmp_path: Path) -> None:
    twice = {"runCoordinator": {"config": {"queuedRunCoordinator": {"maxConcurrentRuns": 2}}}}
    with pytest.raises(DagsterInvalidConfigError, match="max_concurrent_runs"):
        reference_in(tmp_path, merged(VALUES, {"dagsterDaemon": twice}))


@pytest.mark.parametrize(
    ("part", "kind"), [("run_launcher", K8sRunLauncher), ("compute_logs", LakeS3ComputeLogManager)]
)
def test_launcher_and_logs_take_their_configuration(part: str, kind: Any) -> None:
    schema = resolve_to_config_type(kind.config_type())
    if getattr(schema, "kind", None) is None:
        schema = resolve_to_config_type(dict(kind.config_type()))
    assert schema.kind in (ConfigTypeKind.STRICT_SHAPE, ConfigTypeKind.SELECTOR)
    configured = process_config(schema, instance_of(VALUES)[part]["config"])
    assert configured.success, configured.errors


def test_it_is_the_instance_that_the_settings_of_production_ask_for(tmp_path: Path) -> None:
    production = values_of("values-production.yaml")["settings"]
    asked = instance_config(Settings(home=tmp_path, **production))
    here = {**instance_of(VALUES), **VALUES["additionalInstanceConfig"]}
    for name in ("concurrency", "telemetry", "run_retries"):
        assert here[name] == asked[name], name
    assert here["event_log_storage"]["class"] == asked["event_log_storage"]["class"]
    assert asked["run_monitoring"].items() <= here["run_monitoring"].items()
    assert here["retention"]["schedule"] == asked["retention"]["schedule"]
    assert asked["retention"]["sensor"]["purge_after_days"].items() <= (
        here["retention"]["sensor"]["purge_after_days"].items()
    )
    logs, wanted = here["compute_logs"], asked["compute_logs"]
    assert (logs["module"], logs["class"]) == (wanted["module"], wanted["class"])
    for name in ("bucket", "prefix", "region", "encryption"):
        assert logs["config"][name] == wanted["config"][name], name
    database = here["event_log_storage"]["config"]["postgres_db"]
    for name in ("username", "hostname", "port", "db_name", "scheme"):
        assert database[name] == asked["event_log_storage"]["config"]["postgres_db"][name], name


def test_both_charts_mean_the_same_names() -> None:
    found = manifests_of("values.yaml")
    webserver = pod_of(found, "analytics-webserver-operator")
    configs = {each["configMap"]["name"] for each in webserver.spec["volumes"] if "configMap" in each}
    assert configs == {
        f"{VALUES['fullnameOverride']}-instance",
        VALUES["dagsterWebserver"]["workspace"]["externalConfigmap"],
    }
    assert named(found, "ConfigMap", VALUES["dagsterWebserver"]["workspace"]["externalConfigmap"])
    postgres = values_of("values.yaml")["secrets"]["postgres"]
    assert postgres == {"existingSecret": VALUES["global"]["postgresqlSecretName"], "key": "postgresql-password"}


def test_they_render_nothing_of_ours_differently_and_pass_our_schema() -> None:
    with helm_python.Chart.load(CHART) as chart:
        both = chart.render(
            merged(values_of("values-production.yaml"), {"dagster": VALUES}), name="analytics", namespace="analytics"
        )
    assert "official Dagster chart is off" not in both.pop("analytics-platform/templates/NOTES.txt")
    with helm_python.Chart.load(CHART) as chart:
        alone = chart.render(values_of("values-production.yaml"), name="analytics", namespace="analytics")
    assert both == {name: text for name, text in alone.items() if "NOTES" not in name}
