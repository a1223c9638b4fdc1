"""The Dockerfile keeps to rules that fail on spoilt ones, and what it runs exists.

No image is built here. The steps that need no container are tried as they stand: the command that builds the manifest,
which packages are left out, the programs that the chart starts.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner
from helm_chart import manifests_of, pod_of, pods

from analytics_platform.cli import main
from analytics_platform.settings import PROJECT_ROOT, Settings

TEXT = (PROJECT_ROOT / "Dockerfile").read_text()
PACKAGES = ("analytics_platform", "asset_checks")


@dataclass(frozen=True)
class Step:
    """An instruction of a Dockerfile, its lines joined."""

    name: str
    rest: str


@dataclass
class Stage:
    """A stage: its base, and what is done in it."""

    base: str
    steps: list[Step] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [step.rest for step in self.steps if step.name == name]


def parse(text: str) -> tuple[list[Step], list[Stage]]:
    """What stands before the first stage, and the stages."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    before: list[Step] = []
    stages: list[Stage] = []
    for line in joined.splitlines():
        name, _, rest = line.partition(" ")
        assert name.isupper(), f"no instruction: {line}"
        if name == "FROM":
            stages.append(Stage(rest))
        else:
            (stages[-1].steps if stages else before).append(Step(name, rest.strip()))
    return before, stages


def variables_of(stage: Stage) -> dict[str, str]:
    return dict(pair.split("=", 1) for line in stage.all("ENV") for pair in line.split() if "=" in pair)


Rule = Callable[[list[Step], list[Stage]], Iterator[str]]


def bases_are_pinned(before: list[Step], stages: list[Stage]) -> Iterator[str]:
    """By a digest that the build has to be given: an argument without a default, so nothing is taken by its tag."""
    if Step("ARG", "PYTHON_DIGEST") not in before:
        yield "the digest of the base has a default, or is no argument"
    for stage in stages:
        if not re.match(r"^docker\.io/library/python:[\d.]+-slim-\w+@\$\{PYTHON_DIGEST\}( AS \w+)?$", stage.base):
            yield f"{stage.base}: not by digest"


def last_stage_runs_as_nobody(before: list[Step], stages: list[Stage]) -> Iterator[str]:
    """A number, so that Kubernetes can tell that it is not root."""
    users = stages[-1].all("USER")
    if not users or not re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1]):
        yield f"USER {users[-1:]}"


def packages_come_with_hashes(before: list[Step], stages: list[Stage]) -> Iterator[str]:
    for run in (run for stage in stages for run in stage.all("RUN")):
        for install in re.findall(r"pip [^&|]*\binstall\b[^&|]*", run):
            from_lock = {"--require-hashes", "--only-binary"} <= set(install.split())
            from_here = {"--no-index", "--no-deps", "--no-build-isolation"} <= set(install.split())
            if not (from_lock or from_here):
                yield f"{install.strip()}: from an index, without hashes"
        if re.search(r"\b(curl|wget|git clone)\b", run):
            yield f"{run}: from the network"


def nothing_compiles(before: list[Step], stages: list[Stage]) -> Iterator[str]:
    for run in (run for stage in stages for run in stage.all("RUN")):
        if re.search(r"\b(apt-get|apk|gcc|g\+\+|build-essential|make)\b", run):
            yield f"{run}: brings a compiler, or a package without a version"


def last_stage_only_copies(before: list[Step], stages: list[Stage]) -> Iterator[str]:
    """What was built, from the stage that built it, owned by root: the process cannot change its code."""
    for copy in stages[-1].all("COPY"):
        if not copy.startswith("--from=build ") or "--chown" in copy:
            yield f"COPY {copy}"
    if any("pip" in run for run in stages[-1].all("RUN")):
        yield "the last stage installs"


def bytecode_is_compiled_and_manifest_built(before: list[Step], stages: list[Stage]) -> Iterator[str]:
    runs = " ".join(stages[0].all("RUN"))
    if "analytics manifest --quiet" not in runs:
        yield "no manifest is built in"
    if "compileall" not in runs or "unchecked-hash" not in runs:
        yield "nothing is compiled ahead"
    if "PYTHONDONTWRITEBYTECODE" in TEXT.split("FROM")[1]:
        yield "the compiled files are not written"


def no_secret_is_built_in(before: list[Step], stages: list[Stage]) -> Iterator[str]:
    steps = [*before, *(step for stage in stages for step in stage.steps)]
    for step in steps:
        if step.name in ("ARG", "ENV") and re.search(r"TOKEN|PASSWORD|SECRET|_KEY\b", step.rest):
            yield f"{step.name} {step.rest}"


def it_says_what_it_is_and_how_it_starts(before: list[Step], stages: list[Stage]) -> Iterator[str]:
    labels = " ".join(stages[-1].all("LABEL"))
    for label in ("title", "description", "version", "revision", "licenses"):
        if f"org.opencontainers.image.{label}=" not in labels:
            yield f"no label {label}"
    if stages[-1].all("HEALTHCHECK") != ["NONE"]:
        yield "health is asked by the chart's probes, and Docker is to be told so"
    for name in ("ENTRYPOINT", "CMD"):
        if not all(each.startswith("[") for each in stages[-1].all(name)) or not stages[-1].all(name):
            yield f"{name}: through a shell, which keeps signals to itself"
    for stage in stages:
        if any(not each.startswith("/") for each in stage.all("WORKDIR")) or stage.all("ADD"):
            yield "a relative folder, or ADD"


RULES: dict[Rule, Sequence[tuple[str, str]]] = {
    bases_are_pinned: [("ARG PYTHON_DIGEST\n", "ARG PYTHON_DIGEST=sha256:0\n"), ("@${PYTHON_DIGEST} AS", " AS")],
    last_stage_runs_as_nobody: [("USER 10001:10001", "USER analytics"), ("USER 10001:10001", "USER 0:0")],
    packages_come_with_hashes: [
        ("--require-hashes ", ""),
        ("--no-build-isolation ", ""),
        ("python -m venv", "curl -sSL https://example.com | python -m venv"),
    ],
    nothing_compiles: [("RUN groupadd", "RUN apt-get install -y gcc && groupadd")],
    last_stage_only_copies: [
        ("COPY --from=build /opt", "COPY --from=build --chown=10001 /opt"),
        ("RUN groupadd", "RUN pip install x && groupadd"),
    ],
    bytecode_is_compiled_and_manifest_built: [("analytics manifest --quiet", "true"), ("compileall", "json")],
    no_secret_is_built_in: [("ARG REVISION", "ARG SLACK_TOKEN\nARG REVISION")],
    it_says_what_it_is_and_how_it_starts: [
        ("HEALTHCHECK NONE", "HEALTHCHECK CMD true"),
        ('ENTRYPOINT ["analytics"]', "ENTRYPOINT analytics"),
        ("image.revision", "image.revison"),
    ],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_dockerfile_keeps_to(rule: Rule) -> None:
    assert list(rule(*parse(TEXT))) == []


@pytest.mark.parametrize(("rule", "old", "new"), [(rule, *each) for rule, changes in RULES.items() for each in changes])
def test_a_spoilt_dockerfile_breaks(rule: Rule, old: str, new: str) -> None:
    assert old in TEXT
    assert list(rule(*parse(TEXT.replace(old, new)))) != []


def context() -> set[str]:
    """What the build is sent, of what is committed."""
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True).stdout
    patterns = [line for line in (PROJECT_ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]

    def is_sent(path: str) -> bool:
        sent = True
        for pattern in patterns:
            bare = pattern.removeprefix("!").removeprefix("**/")
            parents = [path, *(str(each) for each in Path(path).parents if str(each) != ".")]
            if any(fnmatch(each, bare) for each in parents) or (pattern.startswith("**/") and fnmatch(path, pattern)):
                sent = pattern.startswith("!")
        return sent

    return {path for path in listed.splitlines() if is_sent(path)}


def test_the_build_is_sent_what_it_copies_and_nothing_else() -> None:
    sent = context()
    sources = [word for copy in parse(TEXT)[1][0].all("COPY") for word in copy.split()[:-1]]
    for source in sources:
        assert any(path == source or path.startswith(f"{source}/") for path in sent), source
    tops = {path.split("/")[0] for path in sent}
    assert tops == {"LICENSE", "README.md", "analytics_platform", "asset_checks", "dbt", "docker", "pyproject.toml"} | {
        "requirements.lock"
    }
    assert not any(path.startswith("tests/") for path in sent)


def test_every_file_that_the_code_reads_is_in_the_package() -> None:
    declared = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        folder = PROJECT_ROOT / package
        packed = {path for pattern in declared[package] for path in folder.glob(pattern)}
        ours = [path for path in context() if path.startswith(f"{package}/") and not path.endswith(".py")]
        left_out = [path for path in ours if PROJECT_ROOT / path not in packed and "/typescript/" not in path]
        assert left_out == []


def left_out() -> list[str]:
    extras = re.findall(r'ARG EXTRAS="([^"]+)"', TEXT)[0].split()
    script = PROJECT_ROOT / "docker" / "development_only.py"
    command = [sys.executable, script, PROJECT_ROOT / "pyproject.toml", *extras]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_only_what_development_needs_is_left_out() -> None:
    found = set(left_out())
    assert found >= {"pytest", "playwright", "ruff", "mypy", "moto", "helm-python-sdk", "sqlfluff", "schemathesis"}
    used = {"analytics-platform", "dagster", "dagster-webserver", "dagster-k8s", "dagster-postgres", "dagster-aws"}
    used |= {"boto3", "kubernetes", "psycopg2-binary", "duckdb", "dbt-duckdb", "uvicorn", "typst", "pyjwt", "polars"}
    assert found & used == set()


def test_every_extra_but_developments_is_in_the_image() -> None:
    extras = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()
    assert set(re.findall(r'ARG EXTRAS="([^"]+)"', TEXT)[0].split()) == extras - {"dev"}


def test_the_image_and_the_chart_agree_on_user_folders_and_settings() -> None:
    last = parse(TEXT)[1][-1]
    user, group = last.all("USER")[0].split(":")
    for pod in pods(manifests_of("values.yaml")):
        security = pod.spec["securityContext"]
        assert (str(security["runAsUser"]), str(security["runAsGroup"])) == (user, group)
    given = variables_of(last)
    assert {name.removeprefix("ANALYTICS_").lower() for name in given if name.startswith("ANALYTICS_")} <= (
        Settings.model_fields.keys()
    )
    made = " ".join(last.all("RUN"))
    assert given["ANALYTICS_HOME"] in made
    assert "/opt/dagster/dagster_home" in made


@pytest.mark.parametrize("workload", ["collector", "portal", "user-code", "webserver-operator", "webserver-read-only"])
def test_what_a_pod_starts_is_a_program_of_the_project(workload: str) -> None:
    pod = pod_of(manifests_of("values.yaml"), f"analytics-{workload}")
    program, *words = pod.spec["containers"][0]["command"]
    if program == "analytics":
        scripts = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]["scripts"]
        assert scripts == {"analytics": "analytics_platform.cli:main"}
        assert CliRunner().invoke(main, [*words, "--help"]).exit_code == 0
    else:
        assert Path(sys.executable).with_name(program).exists()


def test_the_command_that_builds_the_manifest_is_there() -> None:
    shown = CliRunner().invoke(main, ["manifest", "--help"])
    assert shown.exit_code == 0
    assert "--quiet" in shown.output
