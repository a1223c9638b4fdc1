"""The npm package: generated from the plan as it is, compiling strictly, and refusing what the plan does not have."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from analytics_platform.catalog import Catalog
from analytics_platform.cli import main
from analytics_platform.tracking import typescript_files
from analytics_platform.tracking.generated import GENERATED, REPOSITORY, drifted, unjudged, write

PACKAGE = REPOSITORY / typescript_files.PACKAGE
EVENTS = [file for file in GENERATED if file.path == typescript_files.EVENTS_FILE]


@pytest.fixture(scope="module")
def package(node: str) -> Path:
    """The package with its tools installed."""
    if not (PACKAGE / "node_modules").is_dir():
        message = "the package's tools are not installed: make node"
        if os.environ.get("REQUIRE_NODE") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return PACKAGE


def test_the_committed_types_are_what_the_plan_renders(package: Path, catalog: Catalog) -> None:
    assert drifted(catalog, EVENTS) == []


def test_an_edit_by_hand_is_drift(package: Path, catalog: Catalog, tmp_path: Path) -> None:
    write(catalog, EVENTS, tmp_path)
    written = tmp_path / EVENTS[0].path
    written.write_text(written.read_text().replace("flow_run_id: string", "flow_run_id: number"))

    assert drifted(catalog, EVENTS, tmp_path) == [EVENTS[0].path]


def test_the_package_builds_strictly_and_its_own_tests_pass(package: Path) -> None:
    done = subprocess.run(["npm", "test"], cwd=package, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (package / "dist/index.d.ts").exists()


def test_a_property_that_is_not_in_the_plan_does_not_compile(package: Path, tmp_path: Path) -> None:
    source = package / "test" / "types.ts"
    wrong = source.read_text().replace("    // @ts-expect-error no such property\n", "")
    assert wrong != source.read_text()
    spoilt = package / "test" / f"spoilt_{os.getpid()}.ts"
    spoilt.write_text(wrong)
    try:
        done = subprocess.run(["npm", "run", "typecheck"], cwd=package, capture_output=True, text=True, check=False)
    finally:
        spoilt.unlink()

    assert done.returncode != 0
    assert "'colour' does not exist" in done.stdout


def test_without_node_the_check_says_that_it_could_not_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typescript_files.shutil, "which", lambda program: None)

    told = CliRunner().invoke(main, ["taxonomy", "check"])
    complete = CliRunner().invoke(main, ["taxonomy", "check", "--complete"])

    assert unjudged() == {EVENTS[0].path: "node is not installed; install Node.js 20 or newer"}
    assert f"could not be judged: {EVENTS[0].path}: node is not installed" in told.output
    assert (told.exit_code, complete.exit_code) == (0, 1)


@pytest.mark.parametrize("lock", [PACKAGE / "package-lock.json", REPOSITORY / "tests/clients/package-lock.json"])
def test_no_lock_names_a_host(lock: Path) -> None:
    assert "://" not in lock.read_text(encoding="utf-8")
