"""Log lines in groups: all of them, in order, and never at the cost of who logs."""

from __future__ import annotations

import os
from datetime import datetime
from typing import cast

import orjson
import pytest

from analytics_platform.intake.collector import logs


def test_lines_come_out_whole_and_in_order() -> None:
    reader, writer = os.pipe()
    lines = logs._Lines(writer)
    for number in range(100):
        lines.write(b"%d\n" % number)

    received = b""
    while received.count(b"\n") < 100:
        received += os.read(reader, 65_536)
    assert received == b"".join(b"%d\n" % number for number in range(100))


def test_when_nobody_reads_logging_neither_waits_nor_fails() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    lines = logs._Lines(writer)
    for _ in range(20_000):
        lines.write(b"x" * 1_000)
    os.close(reader)
    lines.write(b"y\n")
    lines._write_out()

    assert lines._size == 0


def test_the_line_of_a_request_has_the_form_of_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    class Written(list[bytes]):
        write = list[bytes].append

    written = Written()
    monkeypatch.setattr(logs, "_lines", cast("logs._Lines", written))

    logs.log_info("request", {"request_id": "r-1", "status": 200, "ms": 1.5})

    (line,) = written
    said = orjson.loads(line)
    assert line.endswith(b"}\n")
    assert list(said) == ["request_id", "status", "ms", "event", "level", "timestamp"]
    assert (said["event"], said["level"], said["timestamp"][-1]) == ("request", "info", "Z")
    assert datetime.fromisoformat(said["timestamp"]).tzinfo is not None


def test_before_logs_are_set_up_a_request_is_told_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    logs.log_info("request", {"request_id": "r-2"})

    assert "r-2" in capsys.readouterr().out
