"""Logs of the collector: JSON lines on standard error, in one form for this program and the libraries below it.

A line never holds a payload, a write key, a secret or a query string; a key goes by its name.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.typing import Processor


def configure_logs(level: int = logging.INFO) -> None:
    """Set up this process's logs."""
    common: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*common, structlog.processors.JSONRenderer(serializer=_as_bytes)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
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
