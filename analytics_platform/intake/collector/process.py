"""A collector as a process of its own, for programs that start one and wait until it takes events."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_ANNOUNCED = re.compile(r"^Collector: (http\S+)", re.MULTILINE)


def collector_command(host: str, port: int) -> list[str]:
    """The command line of a collector; port 0 takes a free one."""
    return [sys.executable, "-m", "analytics_platform.cli", "collector", "--host", host, "--port", str(port)]


def announced_url(output: Path) -> str | None:
    """The address that a collector has written into its output; None as long as it takes no events."""
    found = _ANNOUNCED.search(output.read_text(encoding="utf-8", errors="replace"))
    return found[1] if found else None
