"""The chart renders for each values file, what comes out is valid for Kubernetes and keeps to every policy."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from chart_policies import POLICIES, Policy
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job
from helm_chart import (
    VALUES_FILES,
    Manifest,
    manifests,
    manifests_of,
    merged,
    named,
    of_kind,
    pod_of,
    pods,
    render,
    spoilt,
    values_of,
    variables,
)
from kubernetes.client import ApiClient

from analytics_platform.defs.instance import EVENT_BATCH_SIZE
from analytics_platform.defs.runs import CODE_LOCATION
from analytics_platform.defs.serve import LOCATION_NAME
from analytics_platform.settings import _NEVER_A_BRANCHS, _SECRETS, Settings
from analytics_platform.settings_schema import CHART, SCHEMA, SET_BY_CHART, secret_settings, with_settings

KUBERNETES = "1.33"
"""The version whose schemas count; the chart asks for 1.30."""

CUSTOM = {"ServiceMonitor": "monitoring.coreos.com/v1", "ExternalSecret": "external-secrets.io/v1"}
"""Kinds of operators, which Kubernetes' own schemas do not know."""

MISSING_DEPENDENCY = "chart directory is missing these dependencies: dagster"
EXTERNAL = {
    "authProxy": {"mode": "external"},
    "networkPolicies": {"ways": {"authProxy": {"peers": [{"namespaceSelector": {"matchLabels": {"proxy": "yes"}}}]}}},
}


def run_job(found: list[Manifest]) -> Manifest:
    """The Job of a run, as the run launcher makes it of what the code location hands over."""
    server = pod_of(found, "analytics-user-code").container("user-code")
    told = variables(server)
    context = K8sContainerContext.create_from_config(json.loads(told["DAGSTER_CONTAINER_CONTEXT"]["value"]))
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(
            told["DAGSTER_CURRENT_IMAGE"]["value"],
            _Launcher(),  # type: ignore[arg-type]
        ),
        args=["dagster", "api", "execute_run"],
        job_name="dagster-run-0",
        component="run_worker",
        user_defined_k8s_config=context.run_k8s_config,
    )
    sanitized: Manifest = ApiClient().sanitize_for_serialization(job)
    return sanitized


class _Launcher:
    """What a run launcher adds of its own: where the instance is, and its password."""

    dagster_home = "/opt/dagster/dagster_home"
    instance_config_map = "dagster-instance"
    postgres_password_secret = "dagster-postgresql-secret"


def everything(file: str) -> list[Manifest]:
    """A values file's manifests and the Job of a run."""
    found = manifests_of(file)
    return [*found, run_job(found)]


@pytest.mark.parametrize("file", VALUES_FILES)
def test_a_values_file_lints_and_only_the_official_chart_is_missing(file: str) -> None:
    messages = helm_python.lint(CHART, values_of(file), strict=True, kube_version=f"v{KUBERNETES}.0")["messages"]
    assert [each["error"] for each in messages if each["severity"] > 1] == [MISSING_DEPENDENCY]


def test_a_branch_takes_no_events_is_reached_by_nobody_outside_and_writes_to_no_other_system() -> None:
    found = manifests_of("values-branch.yaml")
    named_so = {each["metadata"]["name"] for each in found if each["kind"] in ("Deployment", "StatefulSet")}
    assert named_so == {"analytics-user-code", "analytics-webserver-operator"}
    assert not of_kind(found, "Ingress")
    told = variables(pod_of(found, "analytics-user-code").container("user-code"))
    assert told["ANALYTICS_ENVIRONMENT"]["value"] == "ci"
    assert not {f"ANALYTICS_{name.upper()}" for name in _NEVER_A_BRANCHS} & told.keys()


def test_the_official_chart_is_asked_for_in_the_installed_version_and_is_not_here() -> None:
    (found,) = helm_python.dependency_list(CHART)
    assert (found["name"], found["version"], found["status"]) == ("dagster", version("dagster"), "missing")
    assert values_of("values.yaml")["dagster"] == {"enabled": False}


def test_lint_sees_a_template_that_is_no_yaml(tmp_path: Path) -> None:
    chart = spoilt(tmp_path, "templates/config.yaml", "kind: ConfigMap", "kind: : ConfigMap")
    messages = helm_python.lint(chart, values_of("values.yaml"))["messages"]
    assert any(each["severity"] == 3 and "config.yaml" in each["path"] for each in messages)


@pytest.mark.parametrize("file", VALUES_FILES)
def test_each_manifest_is_what_kubernetes_takes(file: str) -> None:
    for each in everything(file):
        if each["kind"] in CUSTOM:
            assert each["apiVersion"] == CUSTOM[each["kind"]]
            continue
        kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_refused() -> None:
    collector = named(manifests_of("values.yaml"), "StatefulSet", "analytics-collector")
    collector["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(collector, KUBERNETES, strict=True)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
@pytest.mark.parametrize("file", VALUES_FILES)
def test_every_manifest_keeps_to(policy: Policy, file: str) -> None:
    assert list(policy(everything(file))) == []


SPOILT: dict[str, list[tuple[str, str, str]]] = {
    "pods_are_restricted": [
        ("_helpers.tpl", "runAsNonRoot: true", "runAsNonRoot: false"),
        ("_helpers.tpl", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
        ("_helpers.tpl", "drop: [ALL]", "drop: [NET_RAW]"),
        ("_helpers.tpl", "type: RuntimeDefault", "type: Unconfined"),
        ("collector.yaml", "      terminationGrace", "      hostNetwork: true\n      terminationGrace"),
        ("webservers.yaml", "emptyDir: {sizeLimit: 1Gi}", "hostPath: {path: /}"),
        (
            "user-code.yaml",
            'security_context: {{ include "analytics.containerSecurity" . | nindent 4 }}',
            "security_context: {privileged: true}",
        ),
    ],
    "tokens_are_where_needed": [
        ("portal.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true"),
        ("user-code.yaml", "      automountServiceAccountToken: false\n      securityContext", "      securityContext"),
        ("serviceaccounts.yaml", "automountServiceAccountToken: false", ""),
    ],
    "resources_are_bounded": [("portal.yaml", "resources: {{ toYaml", "ignored: {{ toYaml")],
    "containers_are_probed": [("collector.yaml", "livenessProbe:", "lifeProbe:")],
    "replicas_survive_a_drain": [
        ("collector.yaml", "kind: PodDisruptionBudget", "kind: Budget"),
        ("collector.yaml", "maxUnavailable: 1", "maxUnavailable: 0"),
    ],
    "images_are_pinned": [("_helpers.tpl", "@{{ .image.digest }}", ":latest")],
    "secrets_are_references": [
        (
            "_helpers.tpl",
            "valueFrom: {secretKeyRef: {name: {{ .reference.existingSecret }}, key: {{ .reference.key }}}}",
            "value: {{ .reference.key }}",
        ),
        ("config.yaml", "kind: ConfigMap", "kind: Secret"),
    ],
    "variables_are_settings": [("collector.yaml", "ANALYTICS_COLLECTOR_PORT", "ANALYTICS_COLLECTOR_PROT")],
    "no_service_is_a_variable": [
        ("collector.yaml", "      enableServiceLinks: false\n", ""),
        (
            "user-code.yaml",
            "      enableServiceLinks: false\n      automountServiceAccountToken: false\n      securityContext",
            "      automountServiceAccountToken: false\n      securityContext",
        ),
    ],
    "network_is_shut_but_for_named_ways": [
        ("networkpolicies.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]"),
        ("networkpolicies.yaml", "- from: {{ toYaml . | nindent 8 }}", "- x: {{ toYaml . | nindent 8 }}"),
        ("networkpolicies.yaml", "analytics-platform/way: {{", "analytics-platform/wya: {{"),
    ],
    "names_are_found": [
        ("portal.yaml", 'ternary "proxy" "portal"', 'ternary "prox" "portal"'),
        ("webservers.yaml", "configMap: {name: analytics-workspace}", "configMap: {name: workspace}"),
        ("collector.yaml", "- {name: spool, mountPath", "- {name: spol, mountPath"),
    ],
    "nothing_keeps_time_but_dagster": [("config.yaml", "kind: PersistentVolumeClaim", "kind: CronJob")],
    "collectors_have_time_to_ship": [
        ("collector.yaml", "terminationGracePeriodSeconds: {{ .Values.collector.terminationGracePeriodSeconds }}", ""),
        ("collector.yaml", "name: spool\n", "name: other\n"),
    ],
    "webservers_are_behind_a_proxy": [
        ("webservers.yaml", 'ternary "0.0.0.0" "127.0.0.1"', 'ternary "127.0.0.1" "0.0.0.0"'),
        ("webservers.yaml", "            - --read-only\n", ""),
        ("webservers.yaml", "[python, -m, analytics_platform.defs.web_server]", "[dagster-webserver]"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "file", "old", "new"),
    [(name, *change) for name, changes in SPOILT.items() for change in changes],
)
def test_a_chart_that_was_spoilt_breaks(policy: str, file: str, old: str, new: str, tmp_path: Path) -> None:
    values = values_of("values-production.yaml")
    chart = spoilt(tmp_path, f"templates/{file}", old, new)
    found = manifests(values, chart)
    (rule,) = [each for each in POLICIES if each.__name__ == policy]
    assert list(rule([*found, run_job(found)])) != []


def test_every_policy_is_tried_on_a_spoilt_chart() -> None:
    assert SPOILT.keys() == {each.__name__ for each in POLICIES}


def test_the_settings_file_is_read_by_the_code_and_says_what_the_values_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in VALUES_FILES:
        config = named(manifests_of(file), "ConfigMap", "analytics-settings")
        path = tmp_path / f"{file}.settings.yaml"
        path.write_text(config["data"]["settings.yaml"])
        monkeypatch.setenv("ANALYTICS_SETTINGS_FILE", str(path))
        settings = Settings.from_environment()
        given = values_of(file)["settings"]
        assert {name: getattr(settings, name) for name in given} == given


@pytest.mark.parametrize(("workload", "container"), [("collector", "collector"), ("portal", "portal")])
def test_a_process_reads_the_variables_it_is_given(
    workload: str, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {"ANALYTICS_COLLECTOR_WEBHOOKS": '[{"write_key": "k", "secret": "long enough"}]'}
    given = variables(pod_of(manifests_of("values-production.yaml"), f"analytics-{workload}").container(container))
    for name, each in given.items():
        if name.startswith("ANALYTICS_") and name != "ANALYTICS_SETTINGS_FILE":
            monkeypatch.setenv(name, each.get("value") or secrets.get(name, "sixteen characters at least"))
    settings = Settings.from_environment()
    assert (str(settings.home), settings.environment) == ("/var/lib/analytics", "production")
    assert getattr(settings, f"{workload}_host") == "0.0.0.0"
    assert getattr(settings, f"{workload}_port") == values_of("values.yaml")[workload]["port"]


def test_a_secret_goes_to_those_who_use_it_and_to_nobody_else() -> None:
    found = everything("values-production.yaml")

    def given(workload: str, container: str) -> set[str]:
        prefix = "ANALYTICS_"
        names = {name.removeprefix(prefix).lower() for name in variables(pod_of(found, workload).container(container))}
        return names & secret_settings()

    rbac = {"rbac_source", "rbac_token", "rbac_reference_key"}
    assert given("analytics-collector", "collector") == {"collector_webhooks"}
    assert given("analytics-portal", "portal") == rbac
    assert given("analytics-user-code", "user-code") == rbac | {"slack_token", "dagster_postgres_password"}
    assert given("dagster-run-0", "dagster") == rbac | {"slack_token", "dagster_postgres_password"}
    assert given("analytics-webserver-operator", "webserver") == set()


SNOWFLAKE = {
    "settings": {"warehouse": "snowflake", "snowflake_account": "org-one"},
    "secrets": {
        "snowflakeKey": {"existingSecret": "analytics-snowflake"},
        "settings": {
            "snowflake_private_key_passphrase": {"existingSecret": "analytics-snowflake", "key": "passphrase"}
        },
    },
}


def test_the_key_to_snowflake_is_a_file_of_who_writes_the_warehouse_and_of_nobody_else() -> None:
    found = manifests(values_of("values-production.yaml", SNOWFLAKE))
    found.append(run_job(found))
    name = "ANALYTICS_SNOWFLAKE_PRIVATE_KEY_FILE"
    for workload, container in (("analytics-user-code", "user-code"), ("dagster-run-0", "dagster")):
        pod = pod_of(found, workload)
        told, mounts = variables(pod.container(container)), pod.container(container)["volumeMounts"]
        assert told[name]["value"] == "/etc/analytics/snowflake-key/snowflake.p8"
        assert told["ANALYTICS_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"]["valueFrom"]["secretKeyRef"]["key"] == "passphrase"
        assert {"name": "snowflake-key", "mountPath": "/etc/analytics/snowflake-key", "readOnly": True} in mounts
        secret = {"secretName": "analytics-snowflake", "defaultMode": 0o440}
        assert {"name": "snowflake-key", "secret": secret} in pod.spec["volumes"]
    for pod in pods(found):
        has_key = any("snowflake" in str(volume) for volume in pod.spec["volumes"])
        assert has_key is any(name in variables(each) for each in pod.containers)
        assert has_key is not pod.owner.endswith(("collector", "portal", "operator", "read-only"))
    assert [problem for policy in POLICIES for problem in policy(found)] == []


@pytest.mark.parametrize(("workload", "container"), [("collector", "collector"), ("portal", "portal")])
def test_who_is_given_no_key_to_snowflake_starts_without_one(
    workload: str, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = manifests(values_of("values.yaml", SNOWFLAKE))
    (tmp_path / "settings.yaml").write_text(named(found, "ConfigMap", "analytics-settings")["data"]["settings.yaml"])
    assert not [
        each for each in variables(pod_of(found, f"analytics-{workload}").container(container)) if "SNOW" in each
    ]
    monkeypatch.setenv("ANALYTICS_SETTINGS_FILE", str(tmp_path / "settings.yaml"))
    assert Settings.from_environment().warehouse == "snowflake"


def test_production_names_no_secret_that_its_vault_does_not_hold() -> None:
    found = everything("values-production.yaml")
    held = {
        (each["metadata"]["name"], entry["secretKey"])
        for each in of_kind(found, "ExternalSecret")
        for entry in each["spec"]["data"]
    }
    asked = {
        (each["valueFrom"]["secretKeyRef"]["name"], each["valueFrom"]["secretKeyRef"]["key"])
        for pod in pods(found)
        for container in pod.containers
        for each in variables(container).values()
        if "valueFrom" in each
    }
    assert asked - held == set()
    mounted = {
        volume["secret"]["secretName"] for pod in pods(found) for volume in pod.spec["volumes"] if "secret" in volume
    }
    assert mounted == {"analytics-identity-keys", "analytics-write-keys"}
    assert mounted <= {name for name, _ in held}


def test_a_run_gets_home_and_keys_of_the_code_location_and_batches_its_events() -> None:
    found = manifests_of("values-production.yaml")
    server, job = pod_of(found, "analytics-user-code"), run_job(found)
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "analytics-runs"
    assert pod["volumes"] == server.spec["volumes"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 86400
    (container,) = pod["containers"]
    assert variables(container)["DAGSTER_EVENT_BATCH_SIZE"]["value"] == str(EVENT_BATCH_SIZE)
    ours = {name: each for name, each in variables(container).items() if name.startswith("ANALYTICS_")}
    config = ours["ANALYTICS_DAGSTER_CONFIG_FILE"]["value"]
    for each in (container, server.container("user-code")):
        assert config in {mount["mountPath"] for mount in each["volumeMounts"]}
    assert ours.items() <= variables(server.container("user-code")).items()
    assert len(container["env"]) == len(variables(container)), "a variable that stands twice"
    labels = job["spec"]["template"]["metadata"]["labels"]
    policy = named(found, "NetworkPolicy", "analytics-runs-to-postgres")
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_code_location_is_the_one_that_the_switches_of_schedules_hang_on() -> None:
    found = manifests_of("values.yaml")
    workspace = yaml.safe_load(named(found, "ConfigMap", "analytics-workspace")["data"]["workspace.yaml"])
    (place,) = [each["grpc_server"] for each in workspace["load_from"]]
    service = named(found, "Service", place["host"])
    assert (place["location_name"], place["port"]) == (LOCATION_NAME, service["spec"]["ports"][0]["port"])
    args = pod_of(found, "analytics-user-code").container("user-code")["args"]
    assert {f"--module-name={CODE_LOCATION}", f"--location-name={LOCATION_NAME}", f"--port={place['port']}"} <= set(
        args
    )


def test_only_events_are_reachable_from_outside_at_a_collector() -> None:
    ingress = named(manifests_of("values-production.yaml"), "Ingress", "analytics-collector")
    assert [path["path"] for path in ingress["spec"]["rules"][0]["http"]["paths"]] == ["/v1"]


def test_a_collector_keeps_its_volume_when_its_set_shrinks_or_goes() -> None:
    spec = named(manifests_of("values-production.yaml"), "StatefulSet", "analytics-collector")["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert "replicas" not in spec, "the autoscaler decides, and an upgrade must not undo it"


def test_behind_an_external_proxy_only_its_pods_reach_portal_and_web_servers() -> None:
    found = manifests(values_of("values-staging.yaml", EXTERNAL))
    server = pod_of(found, "analytics-webserver-read-only")
    assert [each["name"] for each in server.containers] == ["webserver"]
    assert "--host=0.0.0.0" in server.container("webserver")["args"]
    for policy in ("people-to-webservers", "readers-to-portal"):
        (rule,) = named(found, "NetworkPolicy", f"analytics-{policy}")["spec"]["ingress"]
        assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"proxy": "yes"}}}]
    for each in found:
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_without_a_proxy_web_servers_have_no_service_and_the_portal_a_local_login() -> None:
    found = manifests_of("values-local.yaml")
    assert {each["metadata"]["name"] for each in of_kind(found, "Service")} == {
        "analytics-collector",
        "analytics-collector-pods",
        "analytics-portal",
        "analytics-user-code",
    }
    portal = pod_of(found, "analytics-portal").container("portal")
    assert variables(portal)["ANALYTICS_PORTAL_HOST"]["value"] == "127.0.0.1"


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("values.yaml", {"colector": {}}, "colector"),
    ("values.yaml", {"image": {"tag": "latest"}}, "image"),
    ("values.yaml", {"settings": {"lake_ulr": "s3://b/l"}}, "lake_ulr"),
    ("values.yaml", {"settings": {"lake_url": "ftp://b/l"}}, "lake_url"),
    ("values.yaml", {"settings": {"slack_token": "xoxb-1"}}, "slack_token"),
    ("values.yaml", {"settings": {"home": "/tmp"}}, "home"),
    ("values.yaml", {"secrets": {"settings": {"slack_token": "xoxb-1"}}}, "slack_token"),
    ("values.yaml", {"secrets": {"identityKeys": {"existingSecret": ""}}}, "identityKeys"),
    ("values.yaml", {"settings": {"warehouse": "snowflake", "snowflake_account": "o-a"}}, "secrets.snowflakeKey"),
    ("values.yaml", {"settings": {"snowflake_private_key_file": "/k"}}, "snowflake_private_key_file"),
    ("values.yaml", {"collector": {"spool": {"size": "4Gi"}}}, "collector.spool.size"),
    ("values.yaml", {"collector": {"ingress": {"enabled": True}}}, "host"),
    ("values.yaml", {"settings": {"portal_login": "oidc"}}, "authProxy.mode"),
    ("values-staging.yaml", {"authProxy": {"mode": "none"}}, "mode"),
    ("values-staging.yaml", {"authProxy": {"mode": "external"}}, "peers"),
    ("values-staging.yaml", {"authProxy": {"clientSecret": {"existingSecret": ""}}}, "existingSecret"),
    ("values-staging.yaml", {"webservers": {"operator": {"allowedGroups": []}}}, "allowedGroups"),
    ("values-staging.yaml", {"settings": {"portal_login": "local"}}, "portal_login"),
    ("values-staging.yaml", {"networkPolicies": {"enabled": False}}, "networkPolicies"),
    (
        "values-staging.yaml",
        {"dagster": {"enabled": True, "postgresql": {"postgresqlHost": "elsewhere"}}},
        "dagster_postgres_host",
    ),
    ("values-production.yaml", {"image": {"digest": ""}}, "image.digest"),
    ("values-production.yaml", {"authProxy": {"image": {"digest": ""}}}, "authProxy.image.digest"),
]


@pytest.mark.parametrize(("file", "change", "named_in_error"), REFUSED)
def test_values_that_cannot_work_are_refused(file: str, change: dict[str, Any], named_in_error: str) -> None:
    with pytest.raises(helm_python.HelmError) as error:
        render(values_of(file, change))
    assert named_in_error in str(error.value)


@pytest.mark.parametrize(
    "setting",
    [
        "dagster_postgres_host",
        "dagster_url",
        "lake_url",
        "organisation_contact",
        "organisation_name",
        "organisation_privacy_contact",
    ],
)
def test_staging_and_production_do_not_go_without(setting: str) -> None:
    for file in ("values-staging.yaml", "values-production.yaml"):
        values = values_of(file)
        del values["settings"][setting]
        with pytest.raises(helm_python.HelmError, match=setting):
            render(values)


def test_the_schema_has_every_setting_as_the_code_has_it() -> None:
    schema = json.loads(SCHEMA.read_text())
    assert schema == with_settings(schema), "run `python -m analytics_platform.settings_schema`"
    settings = schema["properties"]["settings"]["properties"].keys()
    secrets = schema["properties"]["secrets"]["properties"]["settings"]["properties"].keys()
    assert settings | secrets | SET_BY_CHART == Settings.model_fields.keys()


def test_every_setting_that_holds_a_secret_is_known_as_one() -> None:
    assert secret_settings() == set(_SECRETS)


def objects(schema: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every object of a schema that has properties, with its path."""
    found: list[tuple[str, dict[str, Any]]] = []
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            found.append((path, schema))
        for key, value in schema.items():
            if key not in ("if", "then", "allOf"):
                found += objects(value, f"{path}/{key}")
    return found


def test_every_value_is_described_and_no_other_is_taken() -> None:
    schema = json.loads(SCHEMA.read_text())
    for path, found in objects(schema):
        if path != "/properties/dagster":  # the official chart's own schema judges it
            assert found.get("additionalProperties") is False, path
        for name, value in found["properties"].items():
            assert value.get("description"), f"{path}/{name}"


def test_the_schema_and_the_default_values_have_the_same_keys() -> None:
    schema = json.loads(SCHEMA.read_text())

    def compare(declared: dict[str, Any], values: Any, path: str) -> None:
        if "$ref" in declared:
            declared = merged(schema["$defs"][declared["$ref"].rsplit("/", 1)[1]], {"from": "ref"})
        if declared.get("type") != "object" or "properties" not in declared or path.endswith("settings"):
            return
        assert declared["properties"].keys() - {"global", "ports"} == values.keys() - {"ports"}, path
        for name, each in values.items():
            compare(declared["properties"][name], each, f"{path}.{name}")

    compare(schema, values_of("values.yaml"), "")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("values.yaml", ["official Dagster chart is off", "lake_url is not set", "analytics-identity-keys"]),
        ("values-local.yaml", ["port-forward statefulset/analytics-portal 8000"]),
        ("values-production.yaml", ["https://analytics.example.com", "analytics-slack (slack_token)"]),
    ],
)
def test_the_notes_say_what_to_do_next(file: str, said: list[str]) -> None:
    notes = render(values_of(file))["NOTES.txt"]
    assert [text for text in said if text not in notes] == []
    assert "<no value>" not in notes


def test_a_deployments_own_tenants_come_as_a_file_that_the_catalogue_reads(tmp_path: Path) -> None:
    from analytics_platform.catalog import load_catalog

    tenant = {
        "name": "Veluwe Rent",
        "time_zone": "Europe/Amsterdam",
    }
    base = yaml.safe_load((CHART.parents[1] / "analytics_platform/catalog/tenants/brabant-rental.yaml").read_text())
    base.pop("tenant_id")
    base["write_keys"] = {}
    text = yaml.safe_dump({"veluwe-rent": {**base, **tenant}})
    found = manifests(values_of("values.yaml", {"tenants": {"inline": text}}))
    (tmp_path / "tenants.yaml").write_text(named(found, "ConfigMap", "analytics-tenants")["data"]["tenants.yaml"])
    assert "veluwe-rent" in load_catalog(tmp_path / "tenants.yaml").tenants
    for pod in ("analytics-collector", "analytics-portal", "analytics-user-code"):
        assert {"name": "tenants", "configMap": {"name": "analytics-tenants"}} in pod_of(found, pod).spec["volumes"]


def test_names_and_namespace_follow_the_release() -> None:
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(values_of("values.yaml"), name="other", namespace="elsewhere")
    kinds = [text for text in texts.values() if "kind:" in text]
    found = [each for text in kinds for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]
    assert {each["metadata"]["name"].split("-")[0] for each in found} == {"other", "analytics"}
    (binding,) = of_kind(found, "RoleBinding")
    assert binding["subjects"][0]["namespace"] == "elsewhere"


def test_a_release_name_that_kubernetes_would_refuse_is_refused() -> None:
    with pytest.raises(helm_python.HelmError):
        helm_python.validate_release_name("Not_A_Name")
