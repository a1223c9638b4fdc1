"""A project in a folder of this machine: written for somebody to open, read to be reviewed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from analytics_platform.errors import AnalyticsError
from analytics_platform.reporting.power_bi.names import PROJECT
from analytics_platform.reporting.power_bi.project import REPORT, SEMANTIC_MODEL

_LOCAL = ".pbi"
"""Power BI Desktop's own folder within an item: caches and settings of one machine."""


class ForeignFolderError(AnalyticsError):
    """The folder holds something else than a project of ours."""


def write_folder(folder: Path, files: Mapping[str, bytes]) -> int:
    """Write a project; answer how many files changed. What an earlier one had and this one has not is taken away.

    Raises:
        ForeignFolderError: the folder holds files and no project of ours, which somebody may want to keep.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / f"{PROJECT}.pbip").exists():
        raise ForeignFolderError(f"{folder} is not empty and holds no {PROJECT}.pbip; name another folder")
    before = read_folder(folder) if folder.exists() else {}
    for name in before.keys() - files.keys():
        (folder / name).unlink()
    changed = [name for name, body in files.items() if before.get(name) != body]
    for name in changed:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name])
    return len(changed) + len(before.keys() - files.keys())


def read_folder(folder: Path) -> dict[str, bytes]:
    """A project's files by path; what lies beside it, and Desktop's own, is left out."""
    found = [*folder.glob(f"{PROJECT}.pbip"), *folder.glob("extract_views.sql")]
    found += [path for item in (REPORT, SEMANTIC_MODEL) for path in (folder / item).rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(found)
        if _LOCAL not in path.relative_to(folder).parts
    }
