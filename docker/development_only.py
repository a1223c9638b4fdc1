"""Names the installed packages that only development needs, one a line: what an image leaves out.

The lock holds all of it, since one lock is easier to keep true than two. From the project and the extras that are
given, what they require is followed through the packages' own metadata; what is not reached is named.

    python docker/development_only.py pyproject.toml platform aws k8s | xargs pip uninstall --yes
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

KEPT = frozenset({"analytics-platform", "pip"})
"""The project itself, and what installs."""

Asked = tuple[str, frozenset[str]]
"""A package, and the extras that are asked of it."""


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(lines: Iterable[str], extras: Iterable[str] = ()) -> Iterator[Asked]:
    """What requirements ask for on this machine, with those extras of the package that they are of."""
    chosen = ["", *extras]
    for requirement in map(Requirement, lines):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in chosen):
            yield canonical(requirement.name), frozenset(requirement.extras)


def needed(lines: Iterable[str], installed: Mapping[str, Distribution]) -> set[str]:
    """The packages that requirements need, and those that they need, and so on."""
    waiting = list(asked_for(lines))
    seen: set[Asked] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) not in seen and name in installed:
            seen.add((name, extras))
            waiting += asked_for(installed[name].requires or (), extras)
    return {name for name, _ in seen}


def development_only(pyproject: Path, extras: Sequence[str]) -> list[str]:
    """The installed packages that the project with those extras does not need."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra in extras:
        lines += project["optional-dependencies"][extra]
    installed = {canonical(each.metadata["Name"]): each for each in distributions()}
    return sorted(installed.keys() - needed(lines, installed) - KEPT)


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}\n" for name in development_only(Path(sys.argv[1]), sys.argv[2:]))
