"""What is judged of the project's packages: licences and advisories, as the tools write them."""

import importlib.util
from datetime import date
from types import ModuleType
from typing import Any

import pytest

from analytics_platform.settings import PROJECT_ROOT

TODAY = date(2026, 11, 27)


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supply_chain", PROJECT_ROOT / ".ci" / "supply_chain.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


supply_chain = _loaded()
DECIDED = {"accepted": ["MIT", "BSD-3-Clause", "Apache-2.0"], "packages": {}}


def component(*licences: str, name: str = "thing") -> dict[str, Any]:
    entries = [
        {"expression": each} if " " in each and "::" not in each else {"license": {"name": each}} for each in licences
    ]
    return {"name": name, "version": "1.0", "licenses": entries}


@pytest.mark.parametrize(
    "licences",
    [
        ("MIT",),
        ("GPL-3.0-only OR MIT",),
        ("BSD-3-Clause AND MIT",),
        ("MIT AND (GPL-3.0-only OR Apache-2.0)",),
        ("BSD-3-Clause", "License :: OSI Approved :: BSD License"),
    ],
)
def test_a_licence_that_we_accept_passes(licences: tuple[str, ...]) -> None:
    assert list(supply_chain.licence_problems([component(*licences)], DECIDED)) == []


@pytest.mark.parametrize(
    ("licences", "told"),
    [
        ((), "names no licence"),
        (("GPL-3.0-only",), "GPL-3.0-only is not accepted"),
        (("MIT AND GPL-3.0-only",), "is not accepted"),
        (("MIT", "License :: OSI Approved :: GNU General Public License (GPL)"), "GNU General Public License"),
    ],
)
def test_another_licence_is_named_with_its_package(licences: tuple[str, ...], told: str) -> None:
    (problem,) = supply_chain.licence_problems([component(*licences)], DECIDED)
    assert problem.startswith("thing 1.0: ")
    assert told in problem


def test_an_exception_counts_for_its_package_and_not_when_that_is_gone() -> None:
    decided = DECIDED | {"packages": {"thing": {"licence": "LGPL-3.0-only", "reason": "a library"}}}
    assert list(supply_chain.licence_problems([component("LGPL-3.0-only")], decided)) == []
    assert list(supply_chain.licence_problems([component("MIT", name="other")], decided)) == [
        "packages.thing: is not installed; take it out"
    ]


def answer(*, skipped: bool = False) -> dict[str, Any]:
    hole = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"]}
    found: list[dict[str, Any]] = [{"name": "thing", "version": "1.0", "vulns": [hole]}]
    return {"dependencies": found + ([{"name": "other", "skip_reason": "not found"}] if skipped else [])}


def test_an_advisory_is_told_with_the_version_that_mends_it() -> None:
    (problem,) = supply_chain.audit_problems(answer(), {}, TODAY)
    assert problem == "thing 1.0: PYSEC-2026-1, mended in 1.1"


@pytest.mark.parametrize("name", ["PYSEC-2026-1", "CVE-2026-1"])
def test_an_accepted_advisory_is_quiet_until_its_day(name: str) -> None:
    accepted = {name: {"until": TODAY, "reason": "not reached"}}
    assert list(supply_chain.audit_problems(answer(), accepted, TODAY)) == []
    (problem,) = supply_chain.audit_problems(answer(), accepted, date(2026, 11, 28))
    assert problem.endswith("its acceptance is over")


def test_a_package_that_nobody_knew_has_not_passed() -> None:
    assert supply_chain.unknown(answer(skipped=True)) == ["other"]
    assert supply_chain.unknown(answer()) == []


def test_every_decision_has_its_reason() -> None:
    decided = supply_chain.decisions()
    assert all(each["reason"] and each["licence"] for each in decided["licences"]["packages"].values())
    assert all(isinstance(each["until"], date) and each["reason"] for each in decided["advisories"].values())


def test_every_package_of_the_lock_has_its_hash_and_no_address() -> None:
    lock = (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8")
    packages = [block for block in lock.split("\n") if block and not block.startswith((" ", "#"))]
    assert len(packages) > 200
    assert all(package.endswith("\\") for package in packages), "a package without a hash"
    assert "://" not in lock


def test_the_bill_of_materials_names_what_the_pages_carry() -> None:
    names = [each["name"] for each in supply_chain._vendored()]
    assert names == ["echarts", "zrender", "tslib"]
