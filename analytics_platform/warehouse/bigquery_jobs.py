"""Jobs of BigQuery: each with its limit of cost, its labels and an id of ours, and errors that name their mend.

Belongs here: the client, how a job is asked for, waited for and asked for again, and what its failure means to the
platform. Stays out: which statements and loads there are (`bigquery`), and their SQL (`bigquery_sql`).

A job of ours that was lost on the way back is found again by its id and not run twice: queries have theirs from the
library, loads from here. An id is of one call and never made of the content, since the same rows may have to be loaded
again after something else was.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, cast

import pyarrow as pa
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import (
    Conflict,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    RetryError,
    TooManyRequests,
)
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

from analytics_platform.warehouse.bigquery_place import BigQueryPlace
from analytics_platform.warehouse.bigquery_sql import over_all_days, tables_of
from analytics_platform.warehouse.port import (
    QueryError,
    WarehouseBusyError,
    WarehouseMissingError,
    WarehouseUnreachableError,
)
from analytics_platform.warehouse.work import Work, no_work

Answer = TypeVar("Answer")

_LABEL_LENGTH = 63
_NO_FILTER = re.compile(r"Cannot query over table '(?:[^'.]+\.)?(?P<table>[^'.]+\.[^'.]+)' without a filter")
_FILTER_COLUMN = re.compile(r"filter over column\(s\) '(?P<column>\w+)'")
_BUSY = ("could not serialize access", "quotaExceeded", "rateLimitExceeded", "concurrent update")
_TOO_MUCH = "bytesBilledLimitExceeded"
_NO_DATASET = "Not found: Dataset"


@dataclass
class BigQueryJobs:
    """Jobs in one project; connects with the first of them."""

    place: BigQueryPlace
    work: Callable[[], Work] = no_work
    _datasets: set[str] = field(default_factory=set)

    @cached_property
    def client(self) -> bigquery.Client:
        """The library's client, with the environment's own credentials.

        Raises:
            WarehouseUnreachableError: the environment has none.
        """
        place = self.place
        options = ClientOptions(api_endpoint=place.api_endpoint) if place.api_endpoint else None
        try:
            return bigquery.Client(
                project=place.project,
                credentials=AnonymousCredentials() if place.anonymous else None,  # type: ignore[no-untyped-call]
                location=place.region,
                client_options=options,
            )
        except GoogleAuthError as error:
            raise WarehouseUnreachableError(
                f"the environment has no credentials for BigQuery ({error}); run where a service account is, "
                "or `gcloud auth application-default login`"
            ) from error

    def answer(self, sql: str, parameters: Sequence[object] = (), asset: str | None = None) -> pa.Table:
        """The rows of a query; `asset` is its label outside of runs, by default the first table that it names."""
        rows = self._run(sql, parameters, asset).result()
        storage = not self.place.api_endpoint and find_spec("google.cloud.bigquery_storage") is not None
        with self.explained():
            table: pa.Table = rows.to_arrow(create_bqstorage_client=storage)
        return table

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement that writes; how many rows it touched."""
        return self._run(sql, parameters).num_dml_affected_rows or 0

    def request(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """One request of the API, for what neither jobs nor tables have a word for; it is sent once."""
        with self.explained():
            send: Callable[..., Any] = self.client._connection.api_request
            return send(method=method, path=path, data=body) or {}

    def load(
        self,
        file: Path,
        destination: bigquery.TableReference,
        schema: Sequence[bigquery.SchemaField],
        *,
        keeps_table: bool = False,
    ) -> int:
        """Put the rows of a Parquet file in the place of a table or of one partition; how many they are.

        Readers see the old rows until all of the new ones are there. A load costs nothing. `keeps_table` replaces the
        rows alone: a truncated table may lose its row policies, one whose data are truncated keeps them.
        """
        truncates = bigquery.WriteDisposition
        asset = f"{destination.dataset_id}.{destination.table_id.partition('$')[0]}"
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=truncates.WRITE_TRUNCATE_DATA if keeps_table else truncates.WRITE_TRUNCATE,
            create_disposition=bigquery.CreateDisposition.CREATE_NEVER,
            schema=schema,
            labels=self.labels(asset),
        )

        def attempt() -> int:
            job_id = f"{_job_prefix(asset)}{uuid.uuid4()}"
            with file.open("rb") as content:
                try:
                    job = self.client.load_table_from_file(
                        content, destination, size=file.stat().st_size, job_id=job_id, job_config=config
                    )
                except Conflict:
                    # The answer to the upload was lost and the upload sent again: the job is there, and ours.
                    job = cast("bigquery.LoadJob", self.client.get_job(job_id))
            job.result()
            return int(job.output_rows or 0)

        with self.explained():
            return _retried(attempt)

    def table(self, name: str) -> bigquery.TableReference:
        """A table that the platform names ``schema.table``."""
        schema, _, table = name.partition(".")
        return bigquery.TableReference(self._dataset(f"{self.place.prefix}{schema}"), table)

    def create(self, table: bigquery.Table) -> bigquery.Table:
        """Make a table, and its dataset, where they are not there yet; the table as it stands."""
        table.labels = self.labels(f"{table.dataset_id}.{table.table_id}")
        with self.explained():
            if table.dataset_id not in self._datasets:
                dataset = bigquery.Dataset(self._dataset(table.dataset_id))
                dataset.location = self.place.region
                self.client.create_dataset(dataset, exists_ok=True)
                self._datasets.add(table.dataset_id)
            return self.client.create_table(table, exists_ok=True)

    def drop(self, table: bigquery.TableReference) -> None:
        """Drop a table, if it is there."""
        with self.explained():
            self.client.delete_table(table, not_found_ok=True)

    def labels(self, asset: str) -> dict[str, str]:
        """What BigQuery's bills are told apart by: the asset at work, or what is read where nothing is."""
        now = self.work()
        said = {"asset": now.asset or asset, "workload": now.workload, "environment": self.place.environment}
        return {key: label_value(value) for key, value in said.items()}

    def _dataset(self, name: str) -> bigquery.DatasetReference:
        return bigquery.DatasetReference(self.place.project, name)

    def _run(self, sql: str, parameters: Sequence[object], asset: str | None = None) -> bigquery.QueryJob:
        """Run a statement to its end; where a table wants a filter on its days, over all of them."""
        while True:
            try:
                with self.explained():
                    return self._asked(sql, parameters, asset or next(iter(tables_of(sql)), "none"))
            except QueryError as error:
                table, column = _NO_FILTER.search(str(error)), _FILTER_COLUMN.search(str(error))
                if table is None or column is None:
                    raise
                filtered = over_all_days(sql, table["table"], column["column"])
                if filtered == sql:
                    raise
                sql = filtered

    def _asked(self, sql: str, parameters: Sequence[object], asset: str) -> bigquery.QueryJob:
        backfills = self.work().workload == "backfill"
        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(value) for value in parameters],
            maximum_bytes_billed=self.place.maximum_bytes_billed,
            labels=self.labels(asset),
            priority=bigquery.QueryPriority.BATCH if backfills else bigquery.QueryPriority.INTERACTIVE,
        )
        job = self.client.query(sql, config, job_id_prefix=_job_prefix(asset))
        job.result()
        return job

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Errors of the library as those of the port, with the setting that mends them."""
        try:
            yield
        except (GoogleAPICallError, RetryError, GoogleAuthError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> Exception:
        text = _text(error)
        said = f"{text} {_reasons(error)}"
        if isinstance(error, NotFound) and _NO_DATASET in text:
            return WarehouseMissingError(
                f"{text}; run `analytics run` first, or mend ANALYTICS_BIGQUERY_PROJECT or ANALYTICS_BIGQUERY_REGION"
            )
        if _TOO_MUCH in said:
            return QueryError(f"{text}; name fewer days, or raise ANALYTICS_BIGQUERY_MAXIMUM_BYTES_BILLED")
        if isinstance(error, (TooManyRequests, RetryError)) or any(busy in said for busy in _BUSY):
            return WarehouseBusyError(f"BigQuery had no room for the job: {text}; start it again later")
        if isinstance(error, (Forbidden, GoogleAuthError)):
            return WarehouseUnreachableError(f"{text}; docs/bigquery.md lists the roles that the service account needs")
        return QueryError(text)


def label_value(text: str) -> str:
    """A text as a label may be: lower case letters, digits, ``_`` and ``-``, 63 of them."""
    return re.sub(r"[^a-z0-9_-]", "_", text.lower())[:_LABEL_LENGTH]


def _job_prefix(asset: str) -> str:
    return f"analytics-{label_value(asset)}-"


def _retried(attempt: Callable[[], Answer]) -> Answer:
    """What an attempt gives, made again while BigQuery says that it failed for reasons of its own."""
    answer: Answer = DEFAULT_JOB_RETRY(attempt)()
    return answer


def _text(error: Exception) -> str:
    """What an error says, without the statement that the library prints below it."""
    said = error.message if isinstance(error, GoogleAPICallError) else str(error)
    return str(said).partition("\n\n")[0].strip()


def _reasons(error: Exception) -> str:
    errors: Sequence[Mapping[str, str]] = getattr(error, "errors", None) or ()
    return " ".join(str(each.get("reason", "")) for each in errors if isinstance(each, Mapping))


_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "BOOL"),
    (int, "INT64"),
    (float, "FLOAT64"),
    (Decimal, "NUMERIC"),
    (str, "STRING"),
    (bytes, "BYTES"),
    (date, "DATE"),
)


def _parameter(value: Any) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    """A value for a `?`."""
    if isinstance(value, (list, tuple)):
        return bigquery.ArrayQueryParameter(None, _type_of(value[0] if value else ""), list(value))
    return bigquery.ScalarQueryParameter(None, _type_of(value), value)


def _type_of(value: Any) -> str:
    if isinstance(value, datetime):
        return "DATETIME" if value.tzinfo is None else "TIMESTAMP"
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "STRING")
