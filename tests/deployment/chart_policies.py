"""What every manifest of the chart has to keep to; each policy answers with what breaks it, in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from helm_chart import Manifest, Pod, of_kind, pods, variables

from analytics_platform.settings import Settings
from analytics_platform.settings_schema import secret_settings

Policy = Callable[[Sequence[Manifest]], Iterator[str]]

NEEDS_TOKEN = {"Deployment/analytics-webserver-operator"}
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
"""Of those that the restricted pod security standard allows, what is needed."""

NOT_OURS = {
    "DAGSTER_CONTAINER_CONTEXT",
    "DAGSTER_CURRENT_IMAGE",
    "DAGSTER_DISABLE_TELEMETRY",
    "DAGSTER_EVENT_BATCH_SIZE",
    "DAGSTER_HOME",
    "DAGSTER_PG_PASSWORD",
    "DO_NOT_TRACK",
    "HOME",
    "OAUTH2_PROXY_CLIENT_SECRET",
    "OAUTH2_PROXY_COOKIE_SECRET",
}
"""Variables that other programs read."""

_SAYS_SECRET = re.compile(r"PASSWORD|TOKEN|SECRET(?!_NAME)|CREDENTIAL")
_PINNED = re.compile(r"^[^@]+(@sha256:[0-9a-f]{64}|:(?!latest$)[A-Za-z0-9_][A-Za-z0-9._-]*)$")


def pods_are_restricted(found: Sequence[Manifest]) -> Iterator[str]:
    """The restricted pod security standard, and a root file system that nobody writes."""
    for pod in pods(found):
        security = pod.spec.get("securityContext", {})
        if not security.get("runAsNonRoot") or not security.get("runAsUser"):
            yield f"{pod.owner}: may run as root"
        if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{pod.owner}: no seccomp profile"
        yield from (f"{pod.owner}: {key}" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(key))
        for volume in pod.spec.get("volumes", []):
            yield from (f"{pod.owner}: volume {kind}" for kind in volume.keys() - {"name"} - VOLUMES)
        for container in pod.containers:
            yield from _container_is_restricted(pod, container)


def _container_is_restricted(pod: Pod, container: Mapping[str, Any]) -> Iterator[str]:
    where, security = f"{pod.owner} {container['name']}", container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
        yield f"{where}: may gain rights"
    if security.get("capabilities", {}).get("drop") != ["ALL"] or security["capabilities"].get("add"):
        yield f"{where}: keeps capabilities"
    if security.get("readOnlyRootFilesystem") is not True:
        yield f"{where}: writes its root file system"
    if security.get("runAsUser") == 0:
        yield f"{where}: runs as root"


def tokens_are_where_needed(found: Sequence[Manifest]) -> Iterator[str]:
    """Only who talks to Kubernetes has a token for it."""
    for pod in pods(found):
        if pod.spec.get("automountServiceAccountToken", True) is not (pod.owner in NEEDS_TOKEN):
            yield f"{pod.owner}: token is mounted, or missing"
    for account in of_kind(found, "ServiceAccount"):
        if account.get("automountServiceAccountToken", True):
            yield f"{account['metadata']['name']}: gives tokens to whoever names it"


def resources_are_bounded(found: Sequence[Manifest]) -> Iterator[str]:
    for pod in pods(found):
        for container in pod.containers:
            for bound in ("requests", "limits"):
                if container.get("resources", {}).get(bound, {}).keys() < {"cpu", "memory"}:
                    yield f"{pod.owner} {container['name']}: no {bound}"


def containers_are_probed(found: Sequence[Manifest]) -> Iterator[str]:
    for pod in pods([each for each in found if each["kind"] != "Job"]):
        for container in pod.containers:
            for probe in {"readinessProbe", "livenessProbe"} - container.keys():
                yield f"{pod.owner} {container['name']}: no {probe}"


def replicas_survive_a_drain(found: Sequence[Manifest]) -> Iterator[str]:
    """A budget where there is more than one pod, and none where it would stop every drain."""
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(found, "HorizontalPodAutoscaler")}
    selectors = [each["spec"]["selector"]["matchLabels"] for each in of_kind(found, "PodDisruptionBudget")]
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        name = workload["metadata"]["name"]
        many = name in scaled or workload["spec"].get("replicas", 1) > 1
        if many and workload["spec"]["selector"]["matchLabels"] not in selectors:
            yield f"{name}: no disruption budget"
        if many and not workload["spec"]["template"]["spec"].get("topologySpreadConstraints"):
            yield f"{name}: all its pods may be on one node"
    for budget in of_kind(found, "PodDisruptionBudget"):
        if budget["spec"].get("maxUnavailable", 0) < 1:
            yield f"{budget['metadata']['name']}: no node could ever be drained"


def images_are_pinned(found: Sequence[Manifest]) -> Iterator[str]:
    for pod in pods(found):
        for container in pod.containers:
            if not _PINNED.match(container["image"]):
                yield f"{pod.owner} {container['name']}: {container['image']}"


def secrets_are_references(found: Sequence[Manifest]) -> Iterator[str]:
    """No Secret is rendered, and what is secret comes from one."""
    yield from (f"{each['metadata']['name']}: a Secret with values" for each in of_kind(found, "Secret"))
    secret_variables = {f"ANALYTICS_{name.upper()}" for name in secret_settings()}
    for pod in pods(found):
        for container in pod.containers:
            for name, each in variables(container).items():
                if (name in secret_variables or _SAYS_SECRET.search(name)) and "secretKeyRef" not in each.get(
                    "valueFrom", {}
                ):
                    yield f"{pod.owner}: {name} is a value"
    for config in of_kind(found, "ConfigMap"):
        for text in config["data"].values():
            yield from (f"{config['metadata']['name']}: {name}" for name in secret_settings() if f"{name}:" in text)


def variables_are_settings(found: Sequence[Manifest]) -> Iterator[str]:
    """What a template sets is read by somebody."""
    known = {f"ANALYTICS_{name.upper()}" for name in Settings.model_fields} | {"ANALYTICS_SETTINGS_FILE"} | NOT_OURS
    for pod in pods(found):
        for container in pod.containers:
            yield from (f"{pod.owner}: {name} is no setting" for name in variables(container).keys() - known)


def no_service_is_a_variable(found: Sequence[Manifest]) -> Iterator[str]:
    """Kubernetes would tell each pod of Services by variables: `analytics-collector` by ANALYTICS_COLLECTOR_PORT."""
    yield from (f"{pod.owner}: is told of Services" for pod in pods(found) if pod.spec.get("enableServiceLinks", True))


def network_is_shut_but_for_named_ways(found: Sequence[Manifest]) -> Iterator[str]:
    policies = of_kind(found, "NetworkPolicy")
    shut = [each for each in policies if each["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]
    if not shut:
        yield "nothing refuses by default"
    for policy in (each for each in policies if each not in shut):
        name, spec = policy["metadata"]["name"], policy["spec"]
        if not policy["metadata"].get("annotations", {}).get("analytics-platform/way"):
            yield f"{name}: does not say which way it opens"
        rules = [*spec.get("ingress", []), *spec.get("egress", [])]
        if not rules:
            yield f"{name}: opens nothing"
        for rule in rules:
            if not (rule.get("from") or rule.get("to")) or not rule.get("ports"):
                yield f"{name}: open to everybody, or at every port"
        if any({} in (rule.get("from") or rule.get("to") or []) for rule in rules):
            yield f"{name}: a peer that is everybody"


def names_are_found(found: Sequence[Manifest]) -> Iterator[str]:
    """Services select pods that are there, ports exist, mounts have volumes, accounts are made."""
    all_pods = list(pods(found))
    for service in of_kind(found, "Service"):
        yield from _service_is_served(service, all_pods)
    services = _names(found, "Service")
    for ingress in of_kind(found, "Ingress"):
        paths = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        if {path["backend"]["service"]["name"] for path in paths} - services:
            yield f"{ingress['metadata']['name']}: no such service"
    accounts, configs = _names(found, "ServiceAccount"), _names(found, "ConfigMap") | {"dagster-instance"}
    for pod in all_pods:
        if pod.spec.get("serviceAccountName") not in accounts:
            yield f"{pod.owner}: no such service account"
        yield from _mounts_are_there(pod, configs)


def _names(found: Sequence[Manifest], kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in of_kind(found, kind)}


def _service_is_served(service: Manifest, all_pods: Sequence[Pod]) -> Iterator[str]:
    chosen = [pod for pod in all_pods if service["spec"]["selector"].items() <= pod.labels.items()]
    if not chosen:
        yield f"{service['metadata']['name']}: selects nothing"
    for pod in chosen:
        there = {port["name"] for container in pod.containers for port in container.get("ports", [])}
        if {port["targetPort"] for port in service["spec"]["ports"]} - there:
            yield f"{service['metadata']['name']}: {pod.owner} has not all its ports"


def _mounts_are_there(pod: Pod, configs: set[str]) -> Iterator[str]:
    volumes = {each["name"] for each in pod.spec.get("volumes", [])} | pod.claims
    mounts = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", [])}
    yield from (f"{pod.owner}: no volume {name}" for name in mounts - volumes)
    named = {each["configMap"]["name"] for each in pod.spec.get("volumes", []) if "configMap" in each}
    yield from (f"{pod.owner}: no ConfigMap {name}" for name in named - configs)


def nothing_keeps_time_but_dagster(found: Sequence[Manifest]) -> Iterator[str]:
    yield from (f"{each['metadata']['name']}: a CronJob" for each in of_kind(found, "CronJob"))


def collectors_have_time_to_ship(found: Sequence[Manifest]) -> Iterator[str]:
    """The pause before the signal, 20 s for answers under way, and half a minute for the spool."""
    for pod in pods(found):
        for container in pod.containers:
            if container["name"] == "collector":
                pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
                if pause < 5 or pod.spec.get("terminationGracePeriodSeconds", 30) < pause + 20 + 30:
                    yield f"{pod.owner}: is ended before its spool is shipped"
                if "spool" not in pod.claims:
                    yield f"{pod.owner}: loses its spool with the pod"


def webservers_are_behind_a_proxy(found: Sequence[Manifest]) -> Iterator[str]:
    """Dagster's web server listens inside its pod, or nobody but the proxy's pods reaches it."""
    for pod in pods(found):
        for container in pod.containers:
            if container["name"] != "webserver":
                continue
            if "--host=127.0.0.1" not in container["args"]:
                yield f"{pod.owner}: listens beyond its pod"
            if ("read-only" in pod.owner) is not ("--read-only" in container["args"]):
                yield f"{pod.owner}: who may only look may act, or the other way round"
            if container["command"] != ["python", "-m", "analytics_platform.defs.web_server"]:
                yield f"{pod.owner}: other sites may act in a reader's name"


POLICIES: tuple[Policy, ...] = (
    pods_are_restricted,
    tokens_are_where_needed,
    resources_are_bounded,
    containers_are_probed,
    replicas_survive_a_drain,
    images_are_pinned,
    secrets_are_references,
    variables_are_settings,
    no_service_is_a_variable,
    network_is_shut_but_for_named_ways,
    names_are_found,
    nothing_keeps_time_but_dagster,
    collectors_have_time_to_ship,
    webservers_are_behind_a_proxy,
)
