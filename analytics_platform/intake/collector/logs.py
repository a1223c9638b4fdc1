"""Logs of the collector: JSON lines on standard error, in one form for this program and the libraries below it.

A line never holds a payload, a write key, a secret or a query string; a key goes by its name.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

import orjson
import structlog
from structlog.typing import Processor

_FLUSH_SECONDS = 0.2
_BUFFERED_BYTES = 4 * 1024 * 1024


class _Lines:
    """Writes lines in groups: a call to the system for each request would cost more than judging its event.

    A line is out after a fifth of a second, or at the end of the process. Whoever logs never waits for a reader of the
    logs: beyond a bound lines are dropped, and how many is told in their place.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._waiting: list[bytes] = []
        self._size = self._dropped = 0
        self._wake = threading.Event()
        threading.Thread(target=self._run, name="logs", daemon=True).start()
        atexit.register(self._write_out)

    def write(self, line: bytes) -> None:
        """Take a line."""
        with self._lock:
            if self._size > _BUFFERED_BYTES:
                self._dropped += 1
                return
            is_first = not self._waiting
            self._waiting.append(line)
            self._size += len(line)
        if is_first:
            self._wake.set()

    def flush(self) -> None:
        """Nothing: the thread does."""

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(_FLUSH_SECONDS)
            self._wake.clear()
            self._write_out()

    def _write_out(self) -> None:
        with self._writing:
            with self._lock:
                lines, self._waiting, self._size = self._waiting, [], 0
                dropped, self._dropped = self._dropped, 0
            if dropped:
                lines.append(orjson.dumps({"event": "log lines dropped", "lines": dropped}) + b"\n")
            rest = memoryview(b"".join(lines))
            # Nobody reads the logs any more: that must not end taking events in.
            with contextlib.suppress(OSError):
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]


_lines: _Lines | None = None


def log_info(event: str, said: Mapping[str, Any]) -> None:
    """Log a line as structlog would, at a tenth of its cost: for what is told of every request."""
    if _lines is None:  # nobody has set up the logs
        structlog.get_logger("collector").info(event, **said)
        return
    stamped = {**said, "event": event, "level": "info", "timestamp": datetime.now(UTC)}
    _lines.write(orjson.dumps(stamped, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))


def configure_logs(level: int = logging.INFO) -> None:
    """Set up this process's logs."""
    global _lines
    lines = _Lines(sys.stderr.fileno())
    _lines = lines if level <= logging.INFO else None
    common: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*common, structlog.processors.JSONRenderer(serializer=_as_bytes)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(cast("BinaryIO", lines)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_as_text),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers, root.level = [handler], max(level, logging.WARNING)


def _as_bytes(line: dict[str, Any], default: Any) -> bytes:
    return orjson.dumps(line, default=default)


def _as_text(line: dict[str, Any], default: Any) -> str:
    return orjson.dumps(line, default=default).decode()
