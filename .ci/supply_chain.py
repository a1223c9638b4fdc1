"""What the project is made of: its bill of materials, under which licences, and with which known holes.

    python .ci/supply_chain.py sbom dist/sbom.cdx.json      CycloneDX, of what is installed and of what is vendored
    python .ci/supply_chain.py licences dist/sbom.cdx.json  every licence is one that we accept
    python .ci/supply_chain.py audit                        no package of the lock has a known vulnerability

`supply_chain.yaml` holds what was decided. A package that no advisory service knew is unknown, never clean: the audit
then ends with code 3, so that whoever calls it has to say whether they may go on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from license_expression import ExpressionError, LicenseExpression, get_spdx_licensing

ROOT = Path(__file__).resolve().parents[1]
DECISIONS = Path(__file__).with_name("supply_chain.yaml")
VENDORED = ROOT / "analytics_platform" / "reporting" / "vendor" / "echarts" / "VERSION"
FAILED, UNKNOWN = 1, 3

_CLASSIFIER = "License :: OSI Approved :: "
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""What classifiers, which are vaguer than SPDX, are taken for."""


def decisions() -> dict[str, Any]:
    """What was decided about licences and advisories."""
    found: dict[str, Any] = yaml.safe_load(DECISIONS.read_text(encoding="utf-8"))
    return found


def write_sbom(target: Path) -> None:
    """The bill of materials of this interpreter's environment, with what the pages carry; the same bytes each time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    project = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--of", "JSON", "-o", str(target)]
    subprocess.run([sys.executable, "-m", "cyclonedx_py", "environment", *project, sys.executable], check=True)
    sbom = json.loads(target.read_text(encoding="utf-8"))
    sbom["components"] += _vendored()
    target.write_text(json.dumps(sbom, indent=2) + "\n", encoding="utf-8")


def _vendored() -> Iterator[dict[str, Any]]:
    """The libraries that are part of every dashboard file."""
    licences = decisions()["vendored"]
    for line in VENDORED.read_text(encoding="utf-8").splitlines():
        name, version, *_ = line.split()
        if name in licences:
            yield {
                "type": "library",
                "bom-ref": f"{name}=={version}",
                "name": name,
                "version": version,
                "purl": f"pkg:npm/{name}@{version}",
                "licenses": [{"license": {"id": licences[name]}}],
            }


def licence_problems(components: list[dict[str, Any]], decided: Mapping[str, Any]) -> Iterator[str]:
    """What of a bill of materials stands under no licence that we accept; and what was decided for nothing."""
    exceptions = dict(decided["packages"])
    for component in components:
        exception = exceptions.pop(component["name"], None)
        named = [exception["licence"]] if exception else list(_named(component))
        if not named:
            yield f"{component['name']} {component['version']}: names no licence; read it, and write it into packages"
        for each in named:
            if not exception and not _accepted(each, decided["accepted"]):
                yield f"{component['name']} {component['version']}: {each} is not accepted"
    yield from (f"packages.{name}: is not installed; take it out" for name in exceptions)


def _named(component: Mapping[str, Any]) -> Iterator[str]:
    """The licences of a component as SPDX; one that stands there twice, by name and by classifier, twice."""
    for entry in component.get("licenses", ()):
        named = entry.get("expression") or entry["license"].get("id") or entry["license"].get("name", "")
        name = named.removeprefix(_CLASSIFIER)
        yield _CLASSIFIERS.get(name, name) if name != named else named


def _accepted(expression: str, accepted: list[str]) -> bool:
    try:
        parsed = get_spdx_licensing().parse(expression)
    except ExpressionError:  # a name that is no SPDX
        return False
    return parsed is not None and _holds(parsed, accepted)


def _holds(parsed: LicenseExpression, accepted: list[str]) -> bool:
    parts = getattr(parsed, "args", ())
    if not parts:
        return str(parsed) in accepted
    return (any if parsed.operator.strip() == "OR" else all)(_holds(part, accepted) for part in parts)


def audit_problems(found: Mapping[str, Any], accepted: Mapping[str, Any], today: date) -> Iterator[str]:
    """The advisories that nobody has accepted for now, of pip-audit's answer."""
    for package in found["dependencies"]:
        for advisory in package.get("vulns", ()):
            names = {advisory["id"], *advisory.get("aliases", ())}
            until = [accepted[name]["until"] for name in names if name in accepted]
            if not any(today <= day for day in until):
                fixed = ", ".join(advisory.get("fix_versions", ())) or "no version yet"
                over = "; its acceptance is over" if until else ""
                yield f"{package['name']} {package['version']}: {advisory['id']}, mended in {fixed}{over}"


def unknown(found: Mapping[str, Any]) -> list[str]:
    """The packages that no advisory service knew."""
    return [package["name"] for package in found["dependencies"] if "skip_reason" in package]


def audit() -> int:
    """Look every package of the lock up, and say what was found and what could not be."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "audit.json"
        lock = ["--requirement", str(ROOT / "requirements.lock"), "--disable-pip", "--require-hashes"]
        output = ["--progress-spinner", "off", "--format", "json", "--output", str(answer)]
        done = subprocess.run([sys.executable, "-m", "pip_audit", *lock, *output], capture_output=True, text=True)
        if not answer.exists():
            print(f"audit: unknown: {done.stderr.strip() or 'pip-audit said nothing'}")
            return UNKNOWN
        found = json.loads(answer.read_text(encoding="utf-8"))
    problems = list(audit_problems(found, decisions()["advisories"], datetime.now(UTC).date()))
    missing = unknown(found)
    for problem in problems:
        print(problem)
    print(f"audit: {len(found['dependencies'])} packages, {len(problems)} open advisories, {len(missing)} unknown")
    if missing:
        print("audit: what is unknown has not passed; run it where pypi.org's advisories can be read")
    return FAILED if problems else UNKNOWN if missing else 0


def licences(path: Path) -> int:
    """Judge the licences of a bill of materials."""
    components = json.loads(path.read_text(encoding="utf-8"))["components"]
    problems = list(licence_problems(components, decisions()["licences"]))
    print("\n".join([*problems, f"licences: {len(components)} packages, {len(problems)} problems"]))
    return FAILED if problems else 0


def main() -> int:
    """The command line."""
    match sys.argv[1:]:
        case ["sbom", target]:
            write_sbom(Path(target))
            return 0
        case ["licences", path]:
            return licences(Path(path))
        case ["audit"]:
            return audit()
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
