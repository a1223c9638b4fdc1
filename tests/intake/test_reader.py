from __future__ import annotations

import errno
import gzip
import hashlib
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.intake.outcomes import Reason
from analytics_platform.intake.reader import (
    KEPT_BYTES,
    Line,
    Reading,
    SourceMissingError,
    find_sources,
    read_lines,
)

TEXT = b'{"a":1}\n{"b":2}\n{"c":3}\n'


def read(path: Path) -> tuple[list[Line], Reading]:
    reading = Reading(find_sources([path])[0])
    return list(read_lines(reading)), reading


def lock(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take the right to read a folder away, also from root, whom the system lets in anyway."""

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def refusing(path: Any, *said: Any, **more: Any) -> Any:
            if Path(path) == folder:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *said, **more)

        return refusing

    monkeypatch.setattr(os, "scandir", guarded(os.scandir))
    monkeypatch.setattr(Path, "open", guarded(Path.open))


def raws(path: Path) -> list[bytes]:
    return [line.raw for line in read(path)[0]]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plain.ndjson", TEXT),
        ("members.gz", gzip.compress(TEXT[:11]) + gzip.compress(TEXT[11:])),
        ("frames.zst", zstandard.compress(TEXT[:11]) + zstandard.compress(TEXT[11:])),
        ("gzip_without_its_ending", gzip.compress(TEXT)),
        ("plain_with_a_wrong_ending.gz", TEXT),
        ("skippable_frame_first.zst", b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstandard.compress(TEXT)),
    ],
    # Named, since gzip writes the time into its bytes and parallel workers must collect the same tests.
    ids=["plain", "members", "frames", "gzip_without_its_ending", "plain_with_a_wrong_ending", "skippable_frame"],
)
def test_a_file_gives_its_lines_however_it_is_packed(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)

    found, reading = read(path)

    assert [line.raw for line in found] == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    assert [line.number for line in found] == [1, 2, 3]
    assert reading.damage is None
    assert reading.done_bytes == len(data)


def test_line_ends_marks_and_blank_lines_of_other_systems_are_no_part_of_a_message(tmp_path: Path) -> None:
    path = tmp_path / "windows.ndjson"
    path.write_bytes(b'\xef\xbb\xbf{"a":1}\r\n\r\n   \n\n{"b":2}')

    found, reading = read(path)

    assert found == [Line(1, b'{"a":1}'), Line(5, b'{"b":2}')]
    assert reading.blank_lines == 3


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_cut_off_file_gives_its_whole_lines_and_a_fragment(tmp_path: Path, pack: object) -> None:
    lines = [b'{"n":%d,"noise":"%s"}' % (n, hashlib.sha256(b"%d" % n).hexdigest().encode()) for n in range(20_000)]
    packed = pack(b"\n".join(lines))  # type: ignore[operator]
    path = tmp_path / "cut"
    path.write_bytes(packed[: len(packed) // 2])

    found, reading = read(path)
    *whole, last = found

    assert len(whole) > 5_000
    assert [line.raw for line in whole] == lines[: len(whole)]
    assert last.refused in (Reason.TRUNCATED_SOURCE, None)
    assert lines[len(whole)].startswith(last.raw)
    assert reading.damage is not None


def test_damage_in_a_later_member_loses_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "second_member_broken.gz"
    path.write_bytes(gzip.compress(TEXT) + gzip.compress(b'{"d":4}\n')[:-9])

    found, reading = read(path)

    assert [line.raw for line in found][:3] == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    assert reading.damage is not None


def test_a_twenty_megabyte_line_is_kept_by_its_start_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.ndjson"
    long = b"x" * 20_000_000
    path.write_bytes(b'{"a":1}\n' + long + b'\n{"b":2}\n')

    tracemalloc.start()
    found, _ = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [line.raw for line in (found[0], found[2])] == [b'{"a":1}', b'{"b":2}']
    assert found[1] == Line(2, long[:KEPT_BYTES], Reason.TOO_LARGE, len(long), hashlib.sha256(long).hexdigest())
    assert peak < 4 * KEPT_BYTES


def test_a_decompression_bomb_stays_within_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\0" * 60_000_000))

    tracemalloc.start()
    found, _ = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [(line.refused, line.total_bytes) for line in found] == [(Reason.TOO_LARGE, 60_000_000)]
    assert peak < 4 * KEPT_BYTES


def test_folders_are_read_recursively_in_a_stable_order_each_file_once(tmp_path: Path) -> None:
    segment = tmp_path / "segment-logs" / "source1" / "1768435200000"
    segment.mkdir(parents=True)
    for name in ("b.1.gz", "a.0.gz", ".DS_Store"):
        (segment / name).write_bytes(gzip.compress(TEXT))

    found = find_sources([tmp_path, segment / "a.0.gz"])

    assert [source.name for source in found] == [
        "segment-logs/source1/1768435200000/a.0.gz",
        "segment-logs/source1/1768435200000/b.1.gz",
    ]


def test_linked_folders_are_read_once_each_under_the_name_of_the_real_one_where_both_are_there(tmp_path: Path) -> None:
    export, disk = tmp_path / "export", tmp_path / "disk"
    for folder in (export / "z", disk / "below"):
        folder.mkdir(parents=True)
        (folder / "1.ndjson").write_bytes(TEXT)
    (export / "a").symlink_to(export / "z")
    (export / "b").symlink_to(disk / "below")
    (export / "c").symlink_to(disk)
    (disk / "back").symlink_to(export)
    (export / "z" / "up").symlink_to("..")

    assert [source.name for source in find_sources([export])] == ["b/1.ndjson", "z/1.ndjson"]


def test_what_cannot_be_looked_at_is_a_source_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("locked", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.ndjson").write_bytes(TEXT)
    (tmp_path / "gone.ndjson").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round.ndjson").symlink_to("round.ndjson")
    os.mkfifo(tmp_path / "pipe")
    lock(monkeypatch, tmp_path / "locked")

    readings = [Reading(source) for source in find_sources([tmp_path])]
    found = {reading.source.name: len(list(read_lines(reading))) for reading in readings}

    assert found == {"gone.ndjson": 0, "locked": 0, "open/1.ndjson": 3, "round.ndjson": 0}
    assert [reading.damage for reading in readings] == [
        "cannot be read (No such file or directory)",
        "cannot be read (Permission denied)",
        None,
        "cannot be read (Too many levels of symbolic links)",
    ]


def test_a_folder_that_is_named_itself_and_does_not_open_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(monkeypatch, tmp_path)
    (source,) = find_sources([tmp_path])
    reading = Reading(source)
    assert list(read_lines(reading)) == []
    assert (source.name, reading.damage) == (tmp_path.name, "cannot be read (Permission denied)")


def test_a_missing_path_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(SourceMissingError, match=r"nowhere\.ndjson does not exist"):
        find_sources([tmp_path / "nowhere.ndjson"])


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert raws(tmp_path / "empty") == []


@given(data=st.binary(max_size=400) | st.text(alphabet='{}\n\r "a\ufeff', max_size=200).map(str.encode))
def test_every_byte_sequence_is_cut_into_lines_without_loss(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "file"
    path.write_bytes(data)

    found, reading = read(path)

    if reading.damage is None and data[:2] != b"\x1f\x8b":
        expected = [line.removesuffix(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
        assert [line.raw for line in found] == [line for line in expected if line and not line.isspace()]
