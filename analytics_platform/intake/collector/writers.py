"""The name of a collector: given once to a spool's home, and different from every other collector's."""

from __future__ import annotations

import uuid
from pathlib import Path

from analytics_platform.errors import AnalyticsError
from analytics_platform.intake.collector.disk import Disk
from analytics_platform.lake.layout import is_collector

_FILE = "writer"


class WriterNameError(AnalyticsError):
    """The file that names a collector holds no such name."""


def writer_of(spools: Path, disk: Disk | None = None) -> str:
    """The collector's name, which is also that of its spool's folder below `spools`.

    It stands in the names of objects, so a spool must keep it and no two collectors may share it: a folder that is
    copied to another machine must not take its `writer` file along.

    Args:
        spools: the folder that holds the spool of this home.
        disk: where the name is written, the first time.

    Raises:
        WriterNameError: the file was changed by hand.
    """
    disk = disk or Disk()
    path = spools / _FILE
    if not path.exists():
        disk.make_folder(spools)
        disk.replace_file(path, f"collector{uuid.uuid4().hex[:16]}\n".encode())
    name = path.read_text().strip()
    if not is_collector(name):
        raise WriterNameError(f"{path} holds {name!r}, no collector's name; put back that of the folder beside it")
    return name
