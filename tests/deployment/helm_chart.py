"""The chart as Helm's own engine renders it: values files, manifests, pods, and charts that were spoilt."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

from analytics_platform.settings_schema import CHART

VALUES_FILES = (
    "values.yaml",
    "values-local.yaml",
    "values-branch.yaml",
    "values-staging.yaml",
    "values-production.yaml",
)
DIGEST = "sha256:" + "0123456789abcdef" * 4
BY_DIGEST: Mapping[str, Any] = {"image": {"digest": DIGEST}, "authProxy": {"image": {"digest": DIGEST}}}
"""What a deployment pipeline adds to the production values: the image that it has built."""

RELEASE = "analytics"
NAMESPACE = "analytics"
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod's template with the workload that it is of."""

    owner: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    claims: frozenset[str] = frozenset()

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    def container(self, name: str) -> Mapping[str, Any]:
        return next(each for each in self.containers if each["name"] == name)


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Values as Helm lays several files over each other: mappings merge, everything else is replaced."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            both = isinstance(below, dict) and isinstance(value, Mapping)
            result[key] = merged(below, value) if both else copy.deepcopy(value)  # type: ignore[arg-type]
    return result


def values_of(file: str, *more: Mapping[str, Any]) -> dict[str, Any]:
    added = [BY_DIGEST] if "production" in file else []
    return merged(_values(file), *added, *more)


@cache
def _values(file: str) -> Mapping[str, Any]:
    return yaml.load((CHART / file).read_text(), Loader=yaml.CSafeLoader) or {}


def render(values: Mapping[str, Any], chart: Path = CHART) -> dict[str, str]:
    """Rendered text by template; a template that renders to nothing is left out."""
    helm_python.validate_release_name(RELEASE)
    with helm_python.Chart.load(chart) as loaded:
        rendered = loaded.render(dict(values), name=RELEASE, namespace=NAMESPACE)
    return {name.split("templates/")[1]: text for name, text in rendered.items()}


def manifests(values: Mapping[str, Any], chart: Path = CHART) -> list[Manifest]:
    texts = [text for name, text in render(values, chart).items() if name.endswith(".yaml")]
    return [found for text in texts for found in yaml.load_all(text, Loader=yaml.CSafeLoader) if found]


@cache
def _rendered(file: str) -> str:
    return json.dumps(manifests(values_of(file)))


def manifests_of(file: str) -> list[Manifest]:
    """A values file's manifests, to be changed at will."""
    found: list[Manifest] = json.loads(_rendered(file))
    return found


def of_kind(found: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in found if each["kind"] in kinds]


def named(found: Sequence[Manifest], kind: str, name: str) -> Manifest:
    return next(each for each in of_kind(found, kind) if each["metadata"]["name"] == name)


def pods(found: Sequence[Manifest]) -> Iterator[Pod]:
    for each in of_kind(found, "Deployment", "StatefulSet", "Job"):
        template, spec = each["spec"]["template"], each["spec"]["template"]["spec"]
        claims = frozenset(claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", []))
        owner = f"{each['kind']}/{each['metadata']['name']}"
        yield Pod(owner, template["metadata"].get("labels", {}), spec, claims)


def pod_of(found: Sequence[Manifest], workload: str) -> Pod:
    return next(each for each in pods(found) if each.owner.endswith(f"/{workload}"))


def variables(container: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {each["name"]: each for each in container.get("env", [])}


def spoilt(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the chart in which a text is another; it must stand there, or the test would try nothing."""
    chart = folder / CHART.name
    shutil.copytree(CHART, chart)
    path = chart / file
    text = path.read_text()
    assert old in text, f"{file} no longer says {old!r}"
    path.write_text(text.replace(old, new))
    return chart
