from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intake_messages import OTHER_TENANT, TENANT, flow_step, lines, scan, write
from known_keys import KEYS, SEALS

from analytics_platform.catalog import Catalog
from analytics_platform.intake.importer import ImportReport, import_paths
from analytics_platform.lake.changes import landed_partitions, stale_partitions
from analytics_platform.lake.dead_letters import lines_of, parse_letter
from analytics_platform.lake.layout import placed
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.raw import scan as scan_raw
from analytics_platform.lake.store import LocalStore

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
FIRST, LAST = date(2022, 1, 1), date(2026, 12, 31)
STREAMS = ("billing", "inventory", "transport", "marketing", "crm", "support", "product")


def run(store: LocalStore, catalog: Catalog, *paths: Path, tenant: str | None = None) -> ImportReport:
    report = import_paths(paths, catalog=catalog, store=store, identities=KEYS, tenant=tenant, now=NOW)
    assert report.read == report.accepted + report.duplicates + report.dead_lettered
    assert sum(report.reasons.values()) == report.dead_lettered
    return report


def build(store: LocalStore) -> None:
    build_partitions(store, streams=STREAMS, partitions=landed_partitions(store))


def landed(store: LocalStore) -> list[dict[str, Any]]:
    return [orjson.loads(line) for info in store.list("landing/") for line in lines_of(store.get(info.key))]


def letters(store: LocalStore, reason: str = "") -> list[dict[str, Any]]:
    """The letters of a reason as their lines say, opened: `raw` are the bytes."""
    kept = [line for info in store.list(f"dead/{reason}") for line in lines_of(store.get(info.key))]
    opened = [(orjson.loads(line), parse_letter(line, SEALS)) for line in kept]
    return [said | {"raw": letter.raw, "sha256": letter.sha256} for said, letter in opened]


def contents(store: LocalStore, prefix: str = "") -> dict[str, bytes]:
    return {info.key: store.get(info.key) for info in store.list(prefix)}


def rows(store: LocalStore) -> list[dict[str, Any]]:
    return [row for stream in STREAMS for row in scan_raw(store, stream, FIRST, LAST).read_all().to_pylist()]


def assert_balanced(store: LocalStore) -> None:
    ledger = ledger_rows(store, FIRST, LAST)
    assert ledger.num_rows
    assert unbalanced(ledger).to_pylist() == []


BROKEN_LINES = [
    b'{"type":"track"',
    b"\xff\xfe\x00broken",
    b'{"type":"track","messageId":"\\ud800"}',
    b'{"type": NaN}',
    b"[" * 5_000,
    b'"just text"',
    b"\x00",
    b"x" * 40_000,
]


def test_every_line_is_accounted_for_and_kept_verbatim(store: LocalStore, catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "mixed.ndjson"
    path.write_bytes(b"\xef\xbb\xbf" + lines(scan()) + b"\r\n\n" + b"\r\n".join(BROKEN_LINES))

    report = run(store, catalog, path)

    assert (report.read, report.accepted, report.blank_lines) == (1 + len(BROKEN_LINES), 1, 2)
    assert [letter["raw"] for letter in sorted(letters(store), key=lambda letter: letter["line"])] == BROKEN_LINES
    assert all(letter["detail"] and letter["source"] == "mixed.ndjson" for letter in letters(store))
    assert list(report.as_dict())[:5] == ["read", "accepted", "duplicates", "dead_lettered", "reasons"]


def test_a_twenty_megabyte_line_is_one_dead_letter(store: LocalStore, catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "long.ndjson"
    path.write_bytes(b'{"a":"' + b"x" * 20_000_000 + b'"}\n' + lines(scan()))

    assert run(store, catalog, path).reasons == {"too_large": 1}
    (letter,) = letters(store)
    assert (letter["bytes"], letter["cut"]) == (20_000_008, True)


def test_a_truncated_gzip_file_is_a_warning_a_fragment_and_its_whole_lines(
    store: LocalStore, catalog: Catalog, tmp_path: Path
) -> None:
    messages = [scan(f"m-{n}", userId=f"{n * 7919 % 10007}") for n in range(3_000)]
    packed = gzip.compress(lines(*messages))
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    write(tmp_path / "whole.ndjson", scan("whole"))

    report = run(store, catalog, tmp_path)

    assert report.reasons == {"truncated_source": 1}
    assert report.accepted > 1_000
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith("cut.gz")
    assert "whole" in {line["message_id"] for line in landed(store)}


def test_a_linked_folder_lands_and_a_link_to_nowhere_is_a_warning(
    store: LocalStore, catalog: Catalog, tmp_path: Path
) -> None:
    export, disk = tmp_path / "export", tmp_path / "disk"
    for number, folder in enumerate((export, disk)):
        folder.mkdir()
        write(folder / f"{number}.ndjson", scan(f"m-{number}"))
    (export / "more").symlink_to(disk)
    (export / "gone").symlink_to(tmp_path / "nowhere")

    report = run(store, catalog, export)

    assert report.accepted == 2
    assert report.warnings == ["gone cannot be read (No such file or directory)"]


def test_the_same_file_again_lands_nothing_and_says_so(store: LocalStore, catalog: Catalog, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", scan("m-1"), scan("m-2"), scan("m-3", event="nothing.known"))
    first = run(store, catalog, path)
    before = contents(store, "landing/") | contents(store, "dead/")

    again = run(store, catalog, path)

    assert (first.accepted, first.dead_lettered) == (2, 1)
    assert (again.accepted, again.duplicates, again.dead_lettered) == (0, 2, 1)
    assert again.days == []
    assert contents(store, "landing/") | contents(store, "dead/") == before
    build(store)
    assert_balanced(store)


def test_a_retry_is_a_duplicate_and_another_payload_under_its_id_a_dead_letter(
    store: LocalStore, catalog: Catalog, tmp_path: Path
) -> None:
    retry = scan("m-1", sentAt="2026-01-15T09:31:00Z", receivedAt="2026-01-15T09:31:00Z")
    other = scan("m-1", properties={"status_seq": 8}, receivedAt="2026-01-15T09:32:00Z")

    report = run(store, catalog, write(tmp_path / "a.ndjson", scan("m-1"), retry, other))

    assert (report.accepted, report.duplicates, report.reasons) == (1, 1, {"id_conflict": 1})
    (letter,) = letters(store, "id_conflict")
    assert orjson.loads(letter["raw"]) == other


def test_no_tenant_can_suppress_anothers_message(store: LocalStore, catalog: Catalog, tmp_path: Path) -> None:
    moment = "2026-01-15T09:30:00Z"
    path = write(tmp_path / "a.ndjson", flow_step("same", moment), flow_step("same", moment, OTHER_TENANT))

    assert run(store, catalog, path).accepted == 2
    for info in store.list("landing/"):
        tenants = {orjson.loads(line)["tenant_id"] for line in lines_of(store.get(info.key))}
        assert tenants == {placed(info.key).tenant}


@pytest.mark.parametrize("hostile", ["../../etc", "a/b", "..", "tenant\n", "a\u0000", "day=2026-01-01", "x" * 300])
def test_no_client_chooses_a_key(store: LocalStore, catalog: Catalog, tmp_path: Path, hostile: str) -> None:
    path = write(
        tmp_path / "a.ndjson",
        scan("m-1", properties={"tenant_id": hostile}),
        scan("m-2", event=hostile),
        scan("m-3", writeKey=hostile),
        scan(hostile),
    )
    run(store, catalog, path)

    tenants = {placed(info.key).tenant for info in store.list("landing/") + store.list("dead/")}
    assert tenants <= {TENANT, "_unknown"}


def test_the_same_files_give_the_same_lake(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.ndjson", *(scan(f"m-{n}") for n in range(20)), scan("bad", type="x"))
    one, two = LocalStore(tmp_path / "one"), LocalStore(tmp_path / "two")
    for store in (one, two):
        run(store, catalog, tmp_path / "in")
        build(store)

    assert contents(one) == contents(two)


def test_segments_archive_lands(store: LocalStore, catalog: Catalog, tmp_path: Path) -> None:
    folder = tmp_path / "segment-logs" / "src" / "1768435200000"
    folder.mkdir(parents=True)
    archived = scan(
        "m-1", originalTimestamp="2026-01-15T09:29:59Z", writeKey="not-ours", projectId="segment", version=2
    )
    (folder / "1.gz").write_bytes(gzip.compress(lines(archived)) + gzip.compress(lines(scan("m-2"))))
    (folder / "2.zst").write_bytes(zstandard.compress(lines(scan("m-3"))))

    assert run(store, catalog, tmp_path).accepted == 3
    assert landed(store)[0]["extra"] == {"integrations": {}, "projectId": "segment", "version": 2}


def test_progress_reaches_the_end(store: LocalStore, catalog: Catalog, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = write(tmp_path / "a.ndjson", scan())
    import_paths([path], catalog=catalog, store=store, identities=KEYS, now=NOW, progress=lambda *at: told.append(at))

    assert told[-1] == (path.stat().st_size, path.stat().st_size)


def test_more_lines_than_memory_may_hold_land_in_more_objects(
    store: LocalStore, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics_platform.intake.gathering._OBJECT_BYTES", 4_000)
    monkeypatch.setattr("analytics_platform.intake.gathering._WAITING_BYTES", 6_000)
    days = [f"2026-01-{day:02d}T10:00:00Z" for day in range(1, 11)]
    path = write(tmp_path / "a.ndjson", *(flow_step(f"m-{n}", days[n % 10]) for n in range(300)))

    assert run(store, catalog, path).accepted == 300
    assert len(store.list("landing/")) > 20
    build(store)
    assert len(rows(store)) == 300
    assert_balanced(store)


class Killed(BaseException):
    """The process dies here."""


class DyingStore(LocalStore):
    """Dies before, or right after, the put of a given number; the dead put nothing."""

    def __init__(self, root: Path, *, at_put: int, after: bool) -> None:
        super().__init__(root)
        self._numbers = count(1)
        self._at_put = at_put
        self._after = after

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        number = next(self._numbers)
        if number > self._at_put or (number == self._at_put and not self._after):
            raise Killed
        super().put(key, data, if_none_match=if_none_match)
        if number == self._at_put:
            raise Killed


def _a_days_work(folder: Path) -> Path:
    messages = [
        flow_step(f"m-{n}", f"2026-01-{1 + n % 3:02d}T10:00:00Z", (TENANT, OTHER_TENANT)[n % 2]) for n in range(12)
    ]
    return write(folder / "a.ndjson", *messages, messages[0], scan("bad", event="not.known"), scan("odd", type="odd"))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at_put", range(1, 10))
@pytest.mark.parametrize("built_between", [False, True])
def test_a_call_that_died_between_puts_is_made_again_and_the_ledger_balances(
    catalog: Catalog, tmp_path: Path, at_put: int, after: bool, built_between: bool
) -> None:
    path = _a_days_work(tmp_path / "in")
    undisturbed = LocalStore(tmp_path / "undisturbed")
    run(undisturbed, catalog, path)
    build(undisturbed)
    dying = DyingStore(tmp_path / "lake", at_put=at_put, after=after)
    with pytest.raises(Killed):
        import_paths([path], catalog=catalog, store=dying, identities=KEYS, now=NOW)
    store = LocalStore(tmp_path / "lake")
    if built_between:
        build(store)
        assert_balanced(store) if rows(store) else None

    run(store, catalog, path)
    build(store)

    assert_balanced(store)
    assert rows(store) == rows(undisturbed)
    assert contents(store, "dead/") == contents(undisturbed, "dead/")
    assert stale_partitions(store, streams=STREAMS) == []


def test_two_importers_of_the_same_file_at_once_land_it_once(catalog: Catalog, tmp_path: Path) -> None:
    path = _a_days_work(tmp_path / "in")
    store = LocalStore(tmp_path / "lake")

    class Interleaved(LocalStore):
        """Lets the other importer finish just before this one puts its first object."""

        def __init__(self) -> None:
            super().__init__(store.root)
            self.reports: list[ImportReport] = []

        def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
            if not self.reports:
                self.reports.append(run(store, catalog, path))
            super().put(key, data, if_none_match=if_none_match)

    second = run(Interleaved(), catalog, path)

    assert (second.accepted, second.duplicates) == (0, 13)
    build(store)
    assert len(rows(store)) == 12
    assert_balanced(store)


MESSAGES = st.lists(
    st.builds(
        lambda number, received, payload, sent: flow_step(
            f"m-{number}",
            f"2026-01-{10 + number % 2}T10:00:00Z",
            receivedAt=f"2026-01-20T10:00:{received:02d}Z",
            sentAt=f"2026-01-20T09:00:{sent:02d}Z",
            userId=f"user-{payload}",
        ),
        number=st.integers(0, 3),
        received=st.integers(0, 3),
        payload=st.integers(0, 2),
        sent=st.integers(0, 1),
    ),
    min_size=1,
    max_size=10,
)


@st.composite
def splits(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]], list[bool]]:
    """Messages, the same messages dealt to files in any order, and after which files raw is built."""
    messages = draw(MESSAGES)
    shuffled = draw(st.permutations(messages))
    files: list[list[dict[str, Any]]] = [[] for _ in range(draw(st.integers(1, 4)))]
    for message in shuffled:
        draw(st.sampled_from(files)).append(message)
    return messages, files, draw(st.lists(st.booleans(), min_size=len(files), max_size=len(files)))


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / f"example-{number}" for number in range(10_000))  # type: ignore[return-value]


@given(split=splits())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_split_into_files_any_order_and_any_build_order_gives_the_same_rows(
    catalog: Catalog, folders: Iterator[Path], split: Any
) -> None:
    messages, files, builds = split
    folder = next(folders)
    whole, parts = LocalStore(folder / "whole"), LocalStore(folder / "parts")
    run(whole, catalog, write(folder / "all.ndjson", *messages))
    build(whole)
    for number, (file, built) in enumerate(zip(files, builds, strict=True)):
        run(parts, catalog, write(folder / f"{number}.ndjson", *file))
        if built:
            build(parts)
    build(parts)

    assert rows(parts) == rows(whole)
    assert_balanced(parts)
    assert_balanced(whole)
