"""Dropped files: taken when they are whole, once, in the encodings and forms that exports come in."""

from __future__ import annotations

import errno
import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import orjson
import pytest
from connector_house import HEADER, INVOICE_RULE, NOW, ROW, House, aged, invoices

from analytics_platform.connectors.running import RefusedFilesError, run_stream

QUOTED = ROW.replace("cust-1", '"cust-1"')


def properties(row: dict[str, Any]) -> dict[str, Any]:
    return dict(row["properties"])


def test_a_dutch_csv_becomes_events_of_the_plan(house: House) -> None:
    connector = house.connector("books", invoices(encoding="windows-1252"))
    path = house.drop(connector, "june.csv", f"{HEADER}\r\n{ROW}\r\n".encode("cp1252"))
    account = house.run(connector, "invoices")
    assert (account.rows, account.accepted, account.dead_lettered) == (1, 1, 0)
    (row,) = house.landed()
    assert properties(row)["amount_minor"] == 123456
    assert properties(row)["issued_at"] == "2026-03-15T00:00:00+01:00"
    assert row["message_id"] == "books:invoice.issued:2026-001"
    assert (row["tenant_id"], row["source"]) == ("brabant-rental", "connector.books")
    assert row["received_at"] == "2026-06-01T12:00:00.000001Z"
    assert not path.exists()
    assert house.staged() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"\ufeff{HEADER}\n{ROW}\n".encode(), {}),
        (f"{HEADER}\n{ROW}\n".encode("utf-16"), {}),
        (f"sep=;\n{HEADER}\n{ROW}\n".encode(), {"separator": ","}),
        (f"{HEADER}\n{QUOTED}\n\n".encode(), {}),
    ],
    ids=["byte order mark", "UTF-16", "Excel's own separator line", "quotes and blank lines"],
)
def test_spellings_of_a_csv_are_one(house: House, content: bytes, said: dict[str, Any]) -> None:
    connector = house.connector("books", invoices(**said))
    house.drop(connector, "june.csv", content)
    assert house.run(connector, "invoices").accepted == 1
    assert properties(house.landed()[0])["customer_ref"] == "cust-1"


def workbook(*rows: list[Any]) -> bytes:
    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(content)
    return content.getvalue()


def test_a_workbook_is_read_with_the_types_of_its_cells(house: House) -> None:
    connector = house.connector("books", invoices())
    row = [2026001, "book-1", "cust-1", 1234.56, 214.26, date(2026, 3, 15), date(2026, 4, 14)]
    house.drop(connector, "june.xlsx", workbook(HEADER.split(";"), row))
    assert house.run(connector, "invoices").accepted == 1
    found = properties(house.landed()[0])
    assert (found["invoice_id"], found["amount_minor"]) == ("2026001", 123456)
    assert (found["issued_at"], found["due_at"]) == ("2026-03-15T00:00:00+01:00", "2026-04-14T00:00:00+02:00")


def test_a_workbook_that_mixes_text_and_numbers_in_a_column_is_refused(house: House) -> None:
    """As text 1.234 would be a thousand."""
    connector = house.connector("books", invoices())
    rows = [[f"n-{total}", "b", "c", total, 0.5, "15-03-2026", "14-04-2026"] for total in (1.234, "1.234,00")]
    path = house.drop(connector, "june.xlsx", workbook(HEADER.split(";"), *rows))
    with pytest.raises(RefusedFilesError, match=r"june\.xlsx: cannot be read .* one kind"):
        run_stream(house.deployment, connector, "invoices", NOW)
    assert path.exists()
    assert house.landed() == []


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_json_rows_are_rows(house: House, form: str) -> None:
    connector = house.connector("books", invoices())
    row = dict(zip(HEADER.split(";"), ROW.split(";"), strict=True))
    house.drop(connector, f"june.{form}", orjson.dumps(row if form == "ndjson" else [row]))
    assert house.run(connector, "invoices").accepted == 1


def test_each_row_is_accounted_for_and_a_bad_one_takes_no_other_along(house: House) -> None:
    rule = {**INVOICE_RULE, "where": [{"column": "customer", "is_none_of": ["test"]}]}
    connector = house.connector("books", invoices(rules={"issued": rule}))
    rows = [
        ROW,
        ROW,  # the same again
        ROW.replace("2026-001", "2026-002").replace("1.234,56", "1.23456"),  # no such number in Dutch
        ROW.replace("2026-001", "2026-003").replace("15-03", "31-02"),
        ROW.replace("2026-001", "2026-004") + ";one more",
        ROW.replace("2026-001", "2026-005").replace("cust-1", "test"),
        ROW.replace("2026-001", "2026-006").replace("cust-1", "J. Jansen"),  # no reference as the plan has them
        ROW.replace("2026-001", "2026-001").replace("1.234,56", "9,99"),  # another invoice under the same number
    ]
    house.drop(connector, "june.csv", "\n".join([HEADER, *rows]))
    account = house.run(connector, "invoices")
    assert (account.rows, account.unreadable) == (7, 1)
    assert (account.accepted, account.duplicates, account.skipped, account.dead_lettered) == (1, 1, 1, 5)
    assert account.reasons == {"unmapped": 3, "schema_violation": 1, "id_conflict": 1}
    details = {letter.line: letter.detail for letter in house.letters()}
    assert {letter.stream for letter in house.letters()} == {"billing", "_unknown"}
    assert details[3] == "column 'total' is no number written as 12,34"
    assert details[4] == "column 'issued' is no time written as %d-%m-%Y"
    assert details[5] == "the row has 8 cells and the header 7; mend it in the export"
    assert not any("Jansen" in letter.detail or "1.23456" in letter.detail for letter in house.letters())


def test_the_same_content_is_taken_once_whatever_its_name(house: House) -> None:
    connector = house.connector("books", invoices())
    house.drop(connector, "june.csv", f"{HEADER}\n{ROW}\n")
    house.run(connector, "invoices")
    again = house.drop(connector, "june (1).csv", f"{HEADER}\n{ROW}\n")
    account = house.run(connector, "invoices", NOW + timedelta(hours=1))
    assert (account.files, account.rows) == (0, 0)
    assert not again.exists()


def test_a_changed_file_is_another_file_and_its_old_rows_are_duplicates(house: House) -> None:
    connector = house.connector("books", invoices())
    house.drop(connector, "june.csv", f"{HEADER}\n{ROW}\n")
    house.run(connector, "invoices")
    house.drop(connector, "june.csv", f"{HEADER}\n{ROW}\n{ROW.replace('2026-001', '2026-002')}\n")
    account = house.run(connector, "invoices")
    assert (account.accepted, account.duplicates) == (1, 1)
    assert len(house.landed()) == 2


def test_a_file_that_is_still_written_waits(house: House) -> None:
    connector = house.connector("books", invoices())
    path = house.drop(connector, "june.csv", f"{HEADER}\n{ROW}\n")
    aged(path, NOW - timedelta(seconds=5))
    assert house.run(connector, "invoices").rows == 0
    assert house.run(connector, "invoices", NOW + timedelta(minutes=1)).accepted == 1


@pytest.mark.parametrize("name", ["june.csv.part", ".june.csv", "~$june.csv", "june.csv.tmp"])
def test_parts_and_locks_are_left_alone(house: House, name: str) -> None:
    connector = house.connector("books", invoices())
    path = house.drop(connector, name, f"{HEADER}\n{ROW}\n")
    assert house.run(connector, "invoices").rows == 0
    assert path.exists()


def test_a_file_that_changes_while_it_is_copied_is_not_taken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics_platform.connectors import drops

    connector = house.connector("books", invoices())
    path = house.drop(connector, "june.csv", f"{HEADER}\n{ROW}\n")

    class Writing(drops.Dropped):
        def is_same(self) -> bool:
            path.write_text(f"{HEADER}\n{ROW}\nand more")
            return super().is_same()

    monkeypatch.setattr(drops, "Dropped", Writing)
    assert house.run(connector, "invoices").rows == 0
    assert path.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("number;booking\n1;2\n", "has no column 'customer'"),
        (f"{HEADER};tax\n{ROW};1\n", "has the column 'tax' twice"),
        (f"{HEADER}\n{ROW.replace('cust-1', 'café')}\n".encode("cp1252"), "say `encoding: windows-1252`"),
        (f'{HEADER}\n"2026-001;b\n', "is no CSV"),
    ],
    ids=["column missing", "column twice", "encoding", "quote left open"],
)
def test_a_file_that_is_not_as_the_connector_says_is_refused_whole(
    house: House, content: bytes | str, said: str
) -> None:
    connector = house.connector("books", invoices())
    bad = house.drop(connector, "bad.csv", content)
    good = house.drop(connector, "good.csv", f"{HEADER}\n{ROW}\n")
    with pytest.raises(RefusedFilesError, match=f"books: bad.csv: .*{said}"):
        run_stream(house.deployment, connector, "invoices", NOW)
    assert (bad.exists(), good.exists()) == (True, False)
    assert len(house.landed()) == 1
    assert house.letters() == []


def nested(levels: int) -> str:
    row = dict(zip(HEADER.split(";"), ROW.split(";"), strict=True))
    return orjson.dumps(row).decode().replace('"cust-1"', "[" * levels + "]" * levels)


TWICE = workbook([*HEADER.split(";"), "note", "note "], [*ROW.split(";"), "x", "y"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bad.xlsx", TWICE, "has the column 'note' twice"),
        ("bad.json", f"[{nested(600)}]", r"cannot be read \(TypeError\)"),
    ],
    ids=["headers that differ by a space", "a fault that nobody foresaw"],
)
def test_no_fault_of_one_file_keeps_the_files_after_it_waiting(
    house: House, name: str, content: bytes | str, said: str
) -> None:
    connector = house.connector("books", invoices())
    bad = house.drop(connector, name, content)
    good = house.drop(connector, "good.csv", f"{HEADER}\n{ROW}\n")
    with pytest.raises(RefusedFilesError, match=f"books: {name}: {said}"):
        run_stream(house.deployment, connector, "invoices", NOW)
    assert (bad.exists(), good.exists()) == (True, False)
    assert len(house.landed()) == 1
    assert house.staged() == []


@pytest.mark.parametrize("levels", [253, 600], ids=["too deep for a dead letter", "too deep to be staged"])
def test_a_row_that_nests_without_end_is_a_dead_letter_and_takes_no_other_along(house: House, levels: int) -> None:
    connector = house.connector("books", invoices())
    house.drop(connector, "june.ndjson", f"{nested(levels)}\n{nested(1).replace('[]', '7')}\n")
    account = house.run(connector, "invoices")
    assert (account.unreadable, account.accepted, account.reasons) == (1, 1, {"unmapped": 1})
    assert [letter.detail for letter in house.letters()] == ["nests more than 100 levels; write it flat"]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_file_that_may_not_be_read_is_told_and_the_others_are_taken(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = house.connector("books", invoices())
    bad = house.drop(connector, "bad.csv", f"{HEADER}\n{ROW}\n")
    house.drop(connector, "good.csv", f"{HEADER}\n{ROW}\n")
    opened, before = Path.open, open_descriptors()

    def guarded(path: Path, *said: Any, **more: Any) -> Any:
        if path == bad:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *said, **more)

    monkeypatch.setattr(Path, "open", guarded)
    with pytest.raises(RefusedFilesError, match=r"books: bad\.csv: cannot be read \(Permission denied\)"):
        run_stream(house.deployment, connector, "invoices", NOW)
    assert len(house.landed()) == 1
    assert open_descriptors() == before


def test_a_file_that_may_not_be_put_away_is_told_each_time_and_taken_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another user's, in a folder where each may delete only what is his."""
    connector = house.connector("books", invoices())
    stuck = house.drop(connector, "a.csv", f"{HEADER}\n{ROW}\n")
    removed = Path.unlink

    def guarded(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))
        removed(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", guarded)
    for number in range(2):
        house.drop(connector, "b.csv", f"{HEADER}\n{ROW.replace('2026-001', f'2026-10{number}')}\n")
        with pytest.raises(RefusedFilesError, match=r"books: a\.csv: was taken .* \(Operation not permitted\)"):
            run_stream(house.deployment, connector, "invoices", NOW)
        assert len(house.landed()) == 2 + number


def test_a_disk_that_is_full_is_no_fault_of_the_file(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = house.connector("books", invoices())
    house.drop(connector, "june.csv", f"{HEADER}\n{ROW}\n")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("analytics_platform.connectors.staging.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run_stream(house.deployment, connector, "invoices", NOW)


def test_a_kept_file_moves_out_of_the_folder(house: House) -> None:
    connector = house.connector("books", {**invoices(), "afterwards": "keep"})
    path = house.drop(connector, "june.csv", f"{HEADER}\n{ROW}\n")
    house.run(connector, "invoices")
    (kept,) = (house.root / "files" / "taken" / "books").iterdir()
    assert not path.exists()
    assert kept.name.endswith("-june.csv")


def test_nobody_but_the_owner_reads_what_is_staged(house: House) -> None:
    from analytics_platform.connectors.staging import Staging

    staging = Staging(house.root / "files" / "staging" / "books" / "invoices")
    staging.write([{"customer": "jan@example.nl"}])
    staging.complete(datetime(2026, 6, 1, tzinfo=UTC), {})
    files = [path for path in (house.root / "files" / "staging").rglob("*") if path.is_file()]
    assert {Path(path).stat().st_mode & 0o777 for path in files} == {0o600}
