from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spool_house import HOUR, OTHER, SMALL, TENANT, WRITER, admitted, commit, letter, spooled_ids, spooling

from analytics_platform.intake.collector.segments import (
    Header,
    commit_frame,
    entries_of,
    header_frame,
    read_content,
    read_header,
    segment_paths,
    since,
)
from analytics_platform.intake.collector.spool import Outcome

HEADER = Header(WRITER, 7, HOUR, {TENANT: 3}, (6, 1_234))

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
OUTCOMES = st.lists(
    st.one_of(
        st.builds(
            admitted,
            TEXT,
            tenant=st.sampled_from([TENANT, OTHER]),
            day=st.dates(date(2022, 1, 1), date(2030, 1, 1)),
            stream=st.sampled_from(["product", "billing"]),
        ),
        st.builds(letter, TEXT, reason=st.sampled_from(["too_large", "invalid_json"]), tenant=st.just("_unknown")),
    ),
    max_size=6,
)


def frame(*outcomes: Outcome, before: int = 0) -> bytes:
    return commit_frame([entries_of(outcomes)], before)[0]


def lines_by_place(outcomes: list[Outcome]) -> Counter[tuple[object, ...]]:
    return Counter(
        (getattr(each, "reason", None), each.day, each.tenant, each.stream, _line(each)) for each in outcomes
    )


def _line(outcome: Outcome) -> bytes:
    return outcome.line


@given(st.lists(OUTCOMES, max_size=5))
def test_what_was_written_is_read_back(groups: list[list[Outcome]]) -> None:
    data = header_frame(HEADER) + b"".join(frame(*group) for group in groups)
    content = read_content(data)
    read = Counter((*block[:4], line) for block in content.blocks for line in block.lines.splitlines(keepends=True))
    everything = [outcome for group in groups for outcome in group]
    assert content.header == HEADER
    assert read == lines_by_place(everything)
    assert content.acked == Counter(outcome.tenant for outcome in everything)
    assert (content.length, content.damaged_bytes) == (len(data), 0)


def test_lines_of_a_place_keep_the_order_of_their_requests() -> None:
    data, _ = commit_frame([entries_of([admitted("1"), admitted("2")]), entries_of([admitted("3")])], 0)
    (block,) = read_content(data).blocks
    assert [b'"message_id":"%d"' % n in line for n, line in enumerate(block.lines.splitlines(), 1)] == [True] * 3


def test_torn_at_any_byte_exactly_the_whole_frames_survive() -> None:
    frames = [header_frame(HEADER), frame(admitted("1"), letter("x")), frame(admitted("2")), frame(admitted("3"))]
    ends = [sum(map(len, frames[:n])) for n in range(len(frames) + 1)]
    data = b"".join(frames)
    for cut in range(len(data) + 1):
        content = read_content(data[:cut])
        assert content.length == max(end for end in ends if end <= cut)
        assert content.damaged_bytes == 0
        assert content.acked.total() == sum((2, 1, 1)[: max(sum(end <= cut for end in ends) - 2, 0)])


@given(st.data())
def test_a_flipped_bit_costs_its_own_frame_and_no_other(data: st.DataObject) -> None:
    commits = [frame(admitted(str(n)), before=n) for n in range(3)]
    frames = [header_frame(HEADER), *commits]
    hit = data.draw(st.integers(1, 2))
    offset = data.draw(st.integers(0, len(frames[hit]) - 1))
    broken = bytearray(frames[hit])
    broken[offset] ^= 1 << data.draw(st.integers(0, 7))
    content = read_content(b"".join([*frames[:hit], bytes(broken), *frames[hit + 1 :]]))
    assert content.header == HEADER
    assert content.acked == {TENANT: 2, "_unknown": 1}
    assert content.damaged_bytes == len(frames[hit])
    assert content.length == sum(map(len, frames))


def test_a_message_cannot_pretend_to_be_a_frame() -> None:
    forged = frame(admitted("forged"))
    content = read_content(frame(letter(forged.decode("latin-1")))[:-1])
    assert (content.length, content.blocks) == (0, [])


def test_what_a_header_says_is_read_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    path.write_bytes(header_frame(HEADER) + frame(admitted("1")))
    assert read_header(path) == HEADER
    path.write_bytes(b"")
    assert read_header(path) is None
    path.write_bytes(b"\xffSG1" + b"\xff" * 40)
    assert read_header(path) is None


def test_counts_that_did_not_grow_are_left_out() -> None:
    assert since({"a": 3, "b": 2}, {"b": 2}) == {"a": 3}


@pytest.mark.parametrize("torn", [1, 7, 40])
def test_a_torn_tail_is_cut_off_when_the_spool_is_opened(tmp_path: Path, torn: int) -> None:
    with spooling(tmp_path) as spool:
        commit(spool, admitted("1"))
        commit(spool, admitted("2"))
    (path,) = segment_paths(tmp_path).values()
    whole = path.read_bytes()
    path.write_bytes(whole + frame(admitted("never acknowledged"))[:torn])
    with spooling(tmp_path, SMALL) as spool:
        assert path.read_bytes() == whole
        commit(spool, admitted("3"))
    assert spooled_ids(tmp_path) == ["1", "2", "3"]
