"""Python and packages: what the choices of the deployment need, in versions that the package says, and known traps."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from importlib.util import cache_from_source, find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from analytics_platform.doctor.deployment import CannotLookError, Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, skipped, warn
from analytics_platform.settings import PROJECT_ROOT, Settings

PACKAGE = "analytics-platform"
_LOCK = PROJECT_ROOT / "requirements.lock"
_PINNED = re.compile(r"^[A-Za-z0-9][^\\\n]*==[^\\\n]*", re.MULTILINE)
_SHOWN = 4
_WITH_DAGSTER = re.compile(r"dagster-(dbt|aws|gcp|snowflake|postgres|k8s|powerbi|slack)")
_DAGSTER_APART = 16
"""A library of Dagster's 0.29.27 belongs to Dagster 1.13.27: its second number is that of Dagster and 16."""


def look(deployment: Deployment) -> Iterator[Finding]:
    """What is installed against what is needed."""
    try:
        wanted = metadata.metadata(PACKAGE)["Requires-Python"]
    except metadata.PackageNotFoundError:
        yield skipped(
            "packages", f"{PACKAGE} runs from its sources and is not installed, so none are known to be needed"
        )
        return
    yield python_version(wanted, sys.version.split()[0])
    installed: dict[str, str] = {canonicalize_name(each.name): each.version for each in metadata.distributions()}
    extras = {"platform"}
    with suppress(CannotLookError):
        extras |= needed_extras(deployment.settings)
    needed = [Requirement(text) for text in metadata.requires(PACKAGE) or ()]
    problems = list(unmet(needed, extras, installed))
    yield from problems
    if not problems:
        yield ok("packages", f"all that {', '.join(sorted(extras))} need, in versions that fit")
    yield from _apart_from_lock(installed)
    yield from traps(installed)
    yield from _uncompiled()


def python_version(wanted: str, version: str) -> Finding:
    """Whether this Python is one that the package is made for."""
    if Version(version) in SpecifierSet(wanted):
        return ok("Python", version)
    return fail("Python", f"{version}, and {PACKAGE} is made for {wanted}", "make an environment with such a Python")


def needed_extras(settings: Settings) -> set[str]:
    """Extras of the package that the choices need."""
    scheme = (settings.lake_url or "").partition("://")[0]
    wanted = {
        "aws": scheme == "s3",
        "gcs": scheme == "gs",
        "postgres": settings.dagster_postgres_host is not None,
        "powerbi": settings.refreshes_power_bi,
        settings.warehouse: settings.warehouse != "duckdb",
    }
    return {extra for extra, is_needed in wanted.items() if is_needed}


def unmet(needed: list[Requirement], extras: set[str], installed: Mapping[str, str]) -> Iterator[Finding]:
    """Requirements of some extras that are not installed, or in another version."""
    for requirement in needed:
        of = next(
            (e for e in ("", *sorted(extras)) if not requirement.marker or requirement.marker.evaluate({"extra": e})),
            None,
        )
        if of is None:
            continue
        version = installed.get(canonicalize_name(requirement.name))
        mend = f"pip install '{PACKAGE}[{of or 'platform'}]'"
        if version is None:
            yield fail("packages", f"{requirement.name} is not installed", mend)
        elif not requirement.specifier.contains(version, prereleases=True):
            yield fail("packages", f"{requirement.name} is {version}, and not {requirement.specifier}", mend)


def traps(installed: Mapping[str, str]) -> Iterator[Finding]:
    """Versions that install together and do not work together."""
    core = Version(installed["dagster"]) if "dagster" in installed else None
    for name, version in sorted(installed.items()):
        of = Version(version)
        if core and _WITH_DAGSTER.fullmatch(name) and (of.minor - _DAGSTER_APART, of.micro) != (core.minor, core.micro):
            fitting = f"0.{core.minor + _DAGSTER_APART}.{core.micro}"
            yield fail("packages", f"{name} {version} is not of Dagster {core}", f"pip install {name}=={fitting}")


def _apart_from_lock(installed: Mapping[str, str]) -> Iterator[Finding]:
    if not _LOCK.is_file():
        return
    pins = pins_of(_LOCK.read_text(encoding="utf-8"))
    apart = [
        f"{name} {installed[name]} (lock: {pin})"
        for name, pin in sorted(pins.items())
        if name in installed and Version(installed[name]) != Version(pin)
    ]
    if apart:
        more = f" and {len(apart) - _SHOWN} more" if len(apart) > _SHOWN else ""
        yield warn("lock", f"others than tested: {', '.join(apart[:_SHOWN])}{more}", "install requirements.lock again")


def pins_of(lock: str) -> dict[str, str]:
    """The version of each package that a lock has for this Python and machine; others stand in it too."""
    pinned = [Requirement(line) for line in _PINNED.findall(lock)]
    here = (each for each in pinned if each.marker is None or each.marker.evaluate())
    return {canonicalize_name(each.name): next(iter(each.specifier)).version for each in here}


def _uncompiled() -> Iterator[Finding]:
    """Without compiled bytecode, and where none may be written, each start compiles dbt and Dagster anew."""
    found = find_spec("dbt") or find_spec("dagster")
    places = list(found.submodule_search_locations or ()) if found else []
    compiled = [Path(cache_from_source(str(path))) for place in places for path in Path(place).glob("*.py")]
    if sys.dont_write_bytecode and compiled and not any(path.is_file() for path in compiled):
        yield warn(
            "bytecode",
            "none is there and none may be written: each start takes seconds longer",
            "unset PYTHONDONTWRITEBYTECODE, or run `python -m compileall` once",
        )
