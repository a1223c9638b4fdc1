"""Log lines in groups: all of them, in order, and never at the cost of who logs."""

from __future__ import annotations

import os

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
