"""Files of rows: CSV, workbooks, JSON and NDJSON, in the encodings that exports come in.

CSV goes by Python's own reader: it tells a row with too many or too few cells by its line, where polars fails the whole
file or cuts the row without a word. Workbooks go through fastexcel, cells with their types; a column that mixes text
and numbers is refused, since reading it as text would take 1.234 for 1,234.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from analytics_platform.connectors.declared import DropStream
from analytics_platform.errors import AnalyticsError
from analytics_platform.intake.envelope import measured

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SUFFIXES = {".csv": "csv", ".txt": "csv", ".xlsx": "excel", ".xls": "excel", ".xlsb": "excel", ".ods": "excel"}
_SUFFIXES |= {".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_CELL_CHARACTERS = 1_000_000
_LEVELS = 100
"""Of lists and objects in a row; orjson writes two and a half times as many, and a dead letter adds some."""


class RefusedFileError(AnalyticsError):
    """A file is not what its connector says; nothing of it was taken. The text names the file and the mend."""


class Unreadable(NamedTuple):
    """What stands where a row should be, and what is wrong with it."""

    raw: bytes
    detail: str


def rows_of(
    path: Path, name: str, stream: DropStream, columns: Iterable[str]
) -> Iterator[Mapping[str, Any] | Unreadable]:
    """The rows of a file in their order.

    Args:
        path: of the file, or of a copy.
        name: of the file, for messages and its suffix.
        stream: how it is written.
        columns: those that a table must have; objects may lack some.

    Raises:
        RefusedFileError: it is not as the stream says.
    """
    form = stream.format or _SUFFIXES.get(Path(name).suffix.lower())
    if form is None:
        raise RefusedFileError(f"{name}: no format is known by its ending; say `format` of the stream")
    read: Mapping[str, Callable[[], Iterator[Mapping[str, Any] | Unreadable]]] = {
        "csv": lambda: _csv(path, name, stream, columns),
        "excel": lambda: _excel(path, name, stream, columns),
        "json": lambda: _json(path, name, stream),
        "ndjson": lambda: _ndjson(path, name, stream),
    }
    try:
        yield from read[form]()
    except RefusedFileError:
        raise
    except Exception as error:  # whatever a file does to its reader: the files after it must not wait for it
        told = f"{name}: cannot be read ({type(error).__name__}); mend it, or export it again"
        raise RefusedFileError(told) from error


def _csv(path: Path, name: str, stream: DropStream, columns: Iterable[str]) -> Iterator[Mapping[str, Any] | Unreadable]:
    csv.field_size_limit(_CELL_CHARACTERS)
    with path.open(encoding=_encoding(path, stream), newline="") as file:
        try:
            separator = _separator(file, stream.separator)
            reader = csv.reader(file, delimiter=separator, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            _require(header, columns, name)
            for cells in reader:
                if len(cells) == len(header):
                    yield dict(zip(header, cells, strict=True))
                elif any(cells):
                    detail = f"the row has {len(cells)} cells and the header {len(header)}; mend it in the export"
                    yield Unreadable(separator.join(cells).encode(), detail)
        except csv.Error as error:
            raise RefusedFileError(f"{name}: line {reader.line_num} is no CSV ({error}); export it again") from None
        except UnicodeError as error:
            raise _wrong_encoding(name, stream) from error


def _separator(file: io.TextIOWrapper, declared: str) -> str:
    """The declared one, unless the first line says otherwise as Excel writes it (`sep=;`)."""
    first = file.readline().strip()
    if first.lower().startswith("sep=") and len(first) == len("sep=;"):
        return first[-1]
    file.seek(0)
    return declared


def _excel(
    path: Path, name: str, stream: DropStream, columns: Iterable[str]
) -> Iterator[Mapping[str, Any] | Unreadable]:
    try:
        import fastexcel
    except ImportError as error:
        raise RefusedFileError(f"{name}: workbooks need fastexcel; install analytics-platform[connectors]") from error
    try:
        book = fastexcel.read_excel(path)
        sheet = book.load_sheet(stream.sheet or 0, dtype_coercion="strict", schema_sample_rows=None)
        table = sheet.to_polars()
    except fastexcel.FastExcelError as error:
        mend = "format each column as one kind (numbers, text or dates), or name the right `sheet`"
        raise RefusedFileError(f"{name}: cannot be read as a workbook ({_first_line(error)}); {mend}") from None
    header = [column.strip() for column in table.columns]
    _require(header, columns, name)
    for cells in table.iter_rows():
        if any(value is not None for value in cells):
            yield dict(zip(header, cells, strict=True))


def _json(path: Path, name: str, stream: DropStream) -> Iterator[Mapping[str, Any] | Unreadable]:
    try:
        found = orjson.loads(path.read_bytes().decode(_encoding(path, stream)))
    except orjson.JSONDecodeError as error:
        raise RefusedFileError(f"{name}: is no JSON at line {error.lineno}; export it again") from None
    except UnicodeError as error:
        raise _wrong_encoding(name, stream) from error
    if not isinstance(found, list):
        raise RefusedFileError(f"{name}: is no list of rows; write [{{…}}, {{…}}], or say `format: ndjson`")
    yield from (_object(row, orjson.dumps(row)) for row in found)


def _ndjson(path: Path, name: str, stream: DropStream) -> Iterator[Mapping[str, Any] | Unreadable]:
    try:
        with path.open(encoding=_encoding(path, stream)) as file:
            for line in file:
                if line.strip():
                    yield _parsed(line)
    except UnicodeError as error:
        raise _wrong_encoding(name, stream) from error


def _parsed(line: str) -> Mapping[str, Any] | Unreadable:
    try:
        return _object(orjson.loads(line), line.encode())
    except orjson.JSONDecodeError as error:
        return Unreadable(line.encode(), f"no JSON at column {error.colno}; write one object per line")


def _object(row: Any, raw: bytes) -> Mapping[str, Any] | Unreadable:
    if not isinstance(row, dict):
        return Unreadable(raw, "no JSON object; write {column: value}")
    levels, _ = measured(row)
    return Unreadable(raw, f"nests more than {_LEVELS} levels; write it flat") if levels > _LEVELS else row


def _encoding(path: Path, stream: DropStream) -> str:
    """The declared encoding, unless a byte order mark says another."""
    with path.open("rb") as file:
        start = file.read(3)
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return "utf-8-sig" if encoding == "utf-8" else encoding
    return stream.encoding


def _wrong_encoding(name: str, stream: DropStream) -> RefusedFileError:
    other = "windows-1252" if stream.encoding == "utf-8" else "utf-8"
    return RefusedFileError(f"{name}: is not written in {stream.encoding}; say `encoding: {other}`, or export it again")


def _require(header: list[str], columns: Iterable[str], name: str) -> None:
    """Refuse a table that lacks a column, or has one twice: each of its rows would be wrong."""
    if twice := sorted({column for column in header if column and header.count(column) > 1}):
        raise RefusedFileError(f"{name}: has the column {twice[0]!r} twice; rename one of them in the export")
    if missing := [column for column in columns if column not in header]:
        has = ", ".join(header) or "none"
        raise RefusedFileError(f"{name}: has no column {missing[0]!r}; it has {has}. Mend the export or the mapping")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
