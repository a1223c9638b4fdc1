# mypy: ignore-errors
"""What others would take a file of Segment messages in with, one step each: `benchmarks.ingest` runs this file.

Runs in an environment of its own (`ingest_peers.txt`) and imports nothing of the platform. Each peer reads the same
zstd file, quarantines lines that are no message, and writes what it accepts where its users would query it:

- `pandas`: a loop over the lines with typed pydantic models (one per event, discriminated by its name), a DataFrame,
  `drop_duplicates`, and one zstd Parquet file per day and tenant. Identifiers stay in clear, nothing is synced, and one
  DataFrame holds everything: memory grows with the file.
- `dlt-append`: a dlt pipeline over the parsed lines to Parquet files in a folder; duplicates stay.
- `dlt-merge`: the same into a DuckDB file with the message id as primary key, so duplicates go.

Both pipelines keep nested objects as JSON (`max_table_nesting=0`), which is the cheapest that dlt has, and neither
checks any property.
"""

import io
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import zstandard

Accepted = tuple[int, int]
"""Rows kept and lines quarantined."""

_PAGE = 1_000


def _pandas(file: Path, out: Path) -> Accepted:
    import pandas as pd
    from pydantic import ValidationError

    message = _message_models()
    rows: list[dict[str, Any]] = []
    broken: list[bytes] = []
    for line in _lines(file):
        try:
            found = message.validate_json(line)
        except ValidationError:
            broken.append(line)
            continue
        rows.append(_row(found))
    frame = pd.DataFrame(rows).drop_duplicates(["tenant_id", "message_id"])
    for (day, tenant), part in frame.groupby(["day", "tenant_id"]):
        folder = out / f"day={day}" / f"tenant={tenant}"
        folder.mkdir(parents=True)
        part.to_parquet(folder / "events.parquet", compression="zstd", index=False)
    (out / "quarantine.ndjson.zst").write_bytes(zstandard.compress(b"\n".join(broken)))
    return len(frame), len(broken)


def _row(message: Any) -> dict[str, Any]:
    return {
        "day": message.timestamp.date(),
        "tenant_id": message.properties.tenant_id,
        "message_id": message.messageId,
        "type": message.type,
        "event": message.event,
        "project_id": message.properties.project_id,
        "user_id": message.userId,
        "anonymous_id": message.anonymousId,
        "event_at": message.timestamp,
        "sent_at": message.sentAt,
        "received_at": message.receivedAt,
        "properties": message.properties.model_dump_json(),
        "context": json.dumps(message.context),
    }


def _property_models() -> tuple[Any, Any, Any]:
    """The properties of scans, requests and steps of a flow, as somebody would type them."""
    from pydantic import BaseModel, Field

    class Common(BaseModel):
        schema_version: int
        tenant_id: str = Field(max_length=64)
        project_id: str = Field(max_length=64)

    class Scan(Common):
        scan_id: str
        equipment_id: str
        warehouse_id: str
        device_id: str
        operator_ref: str
        direction: Literal["in", "out"]
        from_status: str
        to_status: str
        status_seq: int = Field(ge=0)
        scanned_at: datetime
        scan_source: str
        booking_id: str | None = None
        offline_queued_ms: int | None = None

    class Request(Common):
        request_id: str
        method: str
        route: str
        status: int = Field(ge=100, le=599)
        duration_ms: float = Field(ge=0)
        trace_id: str | None = None

    class Flow(Common):
        flow: str
        step: str
        outcome: Literal["completed", "abandoned"]
        flow_run_id: str
        duration_ms: int | None = None

    return Scan, Request, Flow


def _message_models() -> Any:
    """The events of `benchmarks.messages`, as somebody would type them."""
    from pydantic import BaseModel, Field, TypeAdapter

    scan, request, flow = _property_models()

    class Message(BaseModel):
        type: Literal["track"]
        messageId: str = Field(min_length=1, max_length=256)  # noqa: N815 - as it is on the wire
        userId: str | None = None  # noqa: N815 - as it is on the wire
        anonymousId: str | None = None  # noqa: N815 - as it is on the wire
        timestamp: datetime
        sentAt: datetime | None = None  # noqa: N815 - as it is on the wire
        receivedAt: datetime | None = None  # noqa: N815 - as it is on the wire
        context: dict[str, Any]

    class ScanMessage(Message):
        event: Literal["scan.completed"]
        properties: scan

    class RequestMessage(Message):
        event: Literal["http.request"]
        properties: request

    class FlowMessage(Message):
        event: Literal["ui.flow_step"]
        properties: flow

    return TypeAdapter(Annotated[ScanMessage | RequestMessage | FlowMessage, Field(discriminator="event")])


def _dlt_append(file: Path, out: Path) -> Accepted:
    import dlt

    return _run_dlt(file, out, dlt.destinations.filesystem(str(out / "rows")), "append")


def _dlt_merge(file: Path, out: Path) -> Accepted:
    import dlt

    return _run_dlt(file, out, dlt.destinations.duckdb(str(out / "rows.duckdb")), "merge")


def _run_dlt(file: Path, out: Path, destination: Any, disposition: str) -> Accepted:
    import dlt

    broken: list[bytes] = []

    @dlt.resource(name="messages", write_disposition=disposition, primary_key="messageId", max_table_nesting=0)
    def messages() -> Iterator[list[dict[str, Any]]]:
        page: list[dict[str, Any]] = []
        for line in _lines(file):
            try:
                page.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                broken.append(line)
            if len(page) == _PAGE:
                yield page
                page = []
        yield page

    pipeline = dlt.pipeline("bench", destination=destination, dataset_name="raw", pipelines_dir=str(out / "pipelines"))
    pipeline.run(messages(), loader_file_format="parquet").raise_on_failed_jobs()
    (out / "quarantine.ndjson.zst").write_bytes(zstandard.compress(b"\n".join(broken)))
    with pipeline.sql_client() as client:
        ((rows,),) = client.execute_sql("select count(*) from messages")
    return rows, len(broken)


def _lines(file: Path) -> Iterator[bytes]:
    with zstandard.open(file, "rb") as raw:
        for line in io.BufferedReader(raw, 1 << 18):
            yield line.rstrip(b"\n")


_PEERS: dict[str, Callable[[Path, Path], Accepted]] = {
    "pandas": _pandas,
    "dlt-append": _dlt_append,
    "dlt-merge": _dlt_merge,
}
_IMPORTED = {
    "pandas": ("pandas", "pydantic", "pyarrow.parquet"),
    "dlt-append": ("dlt",),
    "dlt-merge": ("dlt", "duckdb"),
}


def main() -> None:
    """`ingest_peers.py PEER FILE FOLDER`: one line of JSON with what it took; imports are not counted."""
    peer, file, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    for name in _IMPORTED[peer]:
        __import__(name)
    before, started = _cpu(), time.perf_counter()
    rows, quarantined = _PEERS[peer](file, out)
    wall, cpu = time.perf_counter() - started, _cpu() - before
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": cpu, "wall": wall, "peak_mb": peak_mb, "rows": rows, "quarantined": quarantined}))


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()
