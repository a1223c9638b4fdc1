"""Where everything in the lake lives: the only module that builds or takes apart a key.

Keys are made from days, registered tenant ids, streams and reasons; each part is matched in full before it enters a
key, so nothing that a client sends can leave its prefix or name another tenant's.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from analytics_platform.lake.store import UnsafeKeyError

UNKNOWN_TENANT = "_unknown"
UNKNOWN_STREAM = "_unknown"

COLLECTOR = "collector"
"""What the name of every collector begins with; no other writer's does."""

_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WRITER = re.compile(r"[a-z0-9]{1,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_RECORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,80}")
_HOUR = "%Y%m%dT%H"
_COLLECTED = re.compile(rf"(\d{{8}}T\d{{2}})-({COLLECTOR}[a-z0-9]+)-[^-]+\Z")
_PARTITION = re.compile(r"day=(\d{4}-\d{2}-\d{2})/tenant=([a-z0-9_-]+)/([^/]+)")
_REPLAY = re.compile(r"replays/(\d{10})\.json")
_QUARTER = re.compile(r"\d{4}Q[1-4]")
_FORM = re.compile(r"json|html|pdf")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REVIEW = re.compile(r"reviews/quarter=(\d{4}Q[1-4])/review\.json")
_SIGNATURE = re.compile(r"reviews/quarter=\d{4}Q[1-4]/signatures/(\d{4})\.json")
_DATASET = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_MOMENT = "%Y%m%dT%H%M%S%fZ"
_EXPECTATIONS = re.compile(r"quality/expectations/[a-z0-9_.]+/(\d{8})_(\d{8})-(\d{8}T\d{12}Z)\.json")
_WEEKLY_REPORT = re.compile(r"reports/weekly/week=(\d{4}-\d{2}-\d{2})/[^/]+")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_EXTRACT = re.compile(r"extracts/[a-z0-9_]+/[a-z0-9_]+/day=(\d{4}-\d{2}-\d{2})/[^/]+\.parquet")
_IDENTITIES = re.compile(r"identities/tenant=([a-z0-9_-]+)/day=(\d{4}-\d{2}-\d{2})/[^/]+")
_MANIFEST = re.compile(r"landing_manifests/(\d{8})_(\d{8})-[^/]+\.json")


@dataclass(frozen=True, slots=True, order=True)
class Placed:
    """An object's place, read back from its key: its prefix's day and tenant, and its name within them."""

    day: date
    tenant: str
    name: str


@dataclass(frozen=True, slots=True, order=True)
class Collected:
    """The hour, in UTC, in which a collector acknowledged what an object holds, and the collector's name."""

    hour: datetime
    writer: str


def digest(data: bytes) -> str:
    """Sixteen hexadecimal characters of the SHA-256: the part of an object's name that stands for its bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def landing_key(day: date, tenant: str, received_hour: datetime, writer: str, sha: str) -> str:
    """Key of a landing object; `sha` is the `digest` of its lines before compression."""
    hour = f"{received_hour:{_HOUR}}"
    return f"landing/{_partition(day, tenant)}/{hour}-{_checked(_WRITER, writer, 'writer')}-{sha}.ndjson.zst"


def landing_prefix(day: date, tenant: str) -> str:
    """Prefix of all landing objects of a business day and tenant."""
    return f"landing/{_partition(day, tenant)}/"


def dead_letter_key(
    reason: str, day: date, tenant: str, writer: str, sha: str, *, received_hour: datetime | None = None
) -> str:
    """Key of a dead-letter object; the tenant is `UNKNOWN_TENANT` where no tenant could be told.

    A collector gives the hour in which it acknowledged the letters, as its landing objects do.
    """
    folder = f"dead/{_checked(_NAME, reason, 'reason')}/{_partition(day, tenant)}"
    hour = f"{received_hour:{_HOUR}}-" if received_hour else ""
    return f"{folder}/{hour}{_checked(_WRITER, writer, 'writer')}-{sha}.ndjson.zst"


def conflicts_key(stream: str, day: date, tenant: str) -> str:
    """Key of what the raw build set aside: rows whose message id another payload had taken before."""
    return f"dead/id_conflict/{_partition(day, tenant)}/raw-{_checked(_NAME, stream, 'stream')}.ndjson.zst"


def is_conflicts_of_raw(name: str) -> bool:
    """Whether a dead-letter object's name is one that `conflicts_key` gives."""
    return name.startswith("raw-")


def dead_letter_prefix(reason: str) -> str:
    """Prefix of all dead letters of a reason."""
    return f"dead/{_checked(_NAME, reason, 'reason')}/"


def raw_key(stream: str, day: date, tenant: str) -> str:
    """Key of the one Parquet object of a raw partition."""
    return f"{raw_prefix(stream)}{_partition(day, tenant)}/events.parquet"


def raw_prefix(stream: str) -> str:
    """Prefix of all raw partitions of a stream."""
    return f"raw/{_checked(_NAME, stream, 'stream')}/"


def empty_key(day: date, tenant: str) -> str:
    """Key of the statement which streams of a day and tenant are built and hold nothing."""
    return f"{EMPTY_PREFIX}{_partition(day, tenant)}/streams.json"


def manifest_key(
    first_day: date, last_day: date, writer: str, sha: str, *, received_hour: datetime | None = None
) -> str:
    """Key of a manifest; the span of days it speaks about stands in its name, so others need not be read.

    So does the hour, in a collector's manifest of a closed hour.
    """
    hour = f"{received_hour:{_HOUR}}-" if received_hour else ""
    writer = _checked(_WRITER, writer, "writer")
    return f"landing_manifests/{first_day:%Y%m%d}_{last_day:%Y%m%d}-{hour}{writer}-{sha}.json"


def replay_key(number: int) -> str:
    """Key of an entry of the log of replays; entries are numbered from 1 without gaps."""
    return f"{REPLAY_PREFIX}{number:010d}.json"


def replay_number(key: str) -> int:
    """The number of a log entry, by its key."""
    match = _REPLAY.fullmatch(key)
    if match is None:
        raise UnsafeKeyError(f"{key!r} is no entry of the log of replays: replays/<number>.json is expected")
    return int(match[1])


def review_key(quarter: str, form: str) -> str:
    """Key of a quarter's review in one of its forms: `json`, `html` or `pdf`."""
    return f"{_review_folder(quarter)}review.{_checked(_FORM, form, 'form of a review')}"


def reviewed_quarter(key: str) -> str | None:
    """The quarter whose review's JSON an object is; None for every other object below `reviews/`."""
    match = _REVIEW.fullmatch(key)
    return match[1] if match else None


def signature_key(quarter: str, number: int) -> str:
    """Key of a signature of a quarter's review; they are numbered from 1 without gaps."""
    return f"{signature_prefix(quarter)}{number:04d}.json"


def signature_prefix(quarter: str) -> str:
    """Prefix of all signatures of a quarter's review."""
    return f"{_review_folder(quarter)}signatures/"


def signature_number(key: str) -> int:
    """The number of a signature, by its key."""
    match = _SIGNATURE.fullmatch(key)
    if match is None:
        raise UnsafeKeyError(
            f"{key!r} is no signature of a review: reviews/quarter=<Q>/signatures/<number>.json is expected"
        )
    return int(match[1])


def signed_content_key(quarter: str, sha256: str) -> str:
    """Key of a content that somebody signed, kept as it was signed whatever is built later."""
    return f"{_review_folder(quarter)}signed/{_checked(_SHA256, sha256, 'hash of a content')}.json"


def _review_folder(quarter: str) -> str:
    return f"reviews/quarter={_checked(_QUARTER, quarter, 'quarter')}/"


def expectations_key(dataset: str, first_day: date, last_day: date, evaluated_at: datetime) -> str:
    """Key of the result of one evaluation of a dataset's expectations; what it covers stands in its name."""
    days = f"{first_day:%Y%m%d}_{last_day:%Y%m%d}"
    return f"{expectations_prefix(dataset)}{days}-{evaluated_at.astimezone(UTC):{_MOMENT}}.json"


def expectations_prefix(dataset: str) -> str:
    """Prefix of all results of a dataset's expectations."""
    return f"quality/expectations/{_checked(_DATASET, dataset, 'dataset')}/"


def expectations_placed(key: str) -> tuple[date, date, datetime]:
    """First and last day that a result speaks about, and when it was evaluated."""
    match = _EXPECTATIONS.fullmatch(key)
    if match is None:
        raise UnsafeKeyError(f"{key!r} is no result: quality/expectations/<dataset>/<days>-<time>.json is expected")
    first, last = (datetime.strptime(part, "%Y%m%d").date() for part in match.groups()[:2])  # noqa: DTZ007
    return first, last, datetime.strptime(match[3], _MOMENT).replace(tzinfo=UTC)


def extract_prefix(dashboard: str, table: str | None = None) -> str:
    """Prefix of everything that is published of a dashboard's extracts, or of one of them."""
    folder = f"{EXTRACT_PREFIX}{_checked(_NAME, dashboard, 'dashboard')}/"
    return folder if table is None else f"{folder}{_checked(_NAME, table, 'extract')}/"


def extract_key(dashboard: str, table: str, day: date, sha: str) -> str:
    """Key of an extract's day; `sha` is the `digest` of the object, so that a key never means other bytes."""
    return f"{extract_prefix(dashboard, table)}day={day.isoformat()}/{_checked(_DIGEST, sha, 'digest')}.parquet"


def extract_csv_key(dashboard: str, table: str, sha: str) -> str:
    """Key of an extract as one CSV; `sha` is the `digest` of the object."""
    return f"{extract_prefix(dashboard, table)}csv/{_checked(_DIGEST, sha, 'digest')}.csv"


def extract_csv_address(dashboard: str, table: str) -> str:
    """Key that always holds an extract's newest CSV, for tools that know an address and no manifest."""
    return f"{extract_prefix(dashboard, table)}{table}.csv"


def extract_manifest_key(dashboard: str) -> str:
    """Key of what readers follow: the manifest of a dashboard's extracts."""
    return f"{extract_prefix(dashboard)}manifest.json"


def extract_changes_key(dashboard: str) -> str:
    """Key of the changelog of a dashboard's extracts, for people."""
    return f"{extract_prefix(dashboard)}CHANGES.md"


def extract_manifest_version_key(dashboard: str, number: int) -> str:
    """Key of a manifest as it was committed; they are numbered from 1, and the highest is in force."""
    return f"{extract_manifest_versions_prefix(dashboard)}{number:010d}.json"


def extract_manifest_versions_prefix(dashboard: str) -> str:
    """Prefix of a dashboard's manifests as they were committed; no extract's name begins with an underscore."""
    return f"{extract_prefix(dashboard)}_manifests/"


def extract_day(key: str) -> date | None:
    """The day that an object of an extract holds; None of every other object below `extracts/`."""
    match = _EXTRACT.fullmatch(key)
    return date.fromisoformat(match[1]) if match else None


def is_old_extract(key: str) -> bool:
    """Whether an object of an extract lies where it did before there were manifests."""
    return extract_day(key) is not None and key.endswith("/extract.parquet")


def processing_records_key(form: str) -> str:
    """Key of the records of processing activities in one of their forms: `json`, `html` or `pdf`."""
    return f"processing/records.{_checked(_FORM, form, 'form of the records')}"


def weekly_report_key(week: date, audience: str, form: str) -> str:
    """Key of a weekly report in one of its forms; the week is named by its Monday."""
    return f"{weekly_report_prefix(week)}{_checked(_TENANT, audience, 'audience')}.{_checked(_NAME, form, 'form')}"


def weekly_report_prefix(week: date) -> str:
    """Prefix of all reports of a week."""
    if week.weekday() != 0:
        raise UnsafeKeyError(f"{week} is a {week:%A}; a week is named by its Monday")
    return f"{WEEKLY_REPORT_PREFIX}week={week.isoformat()}/"


def week_of_report(key: str) -> date:
    """The Monday of the week that a weekly report is about, by its key."""
    match = _WEEKLY_REPORT.fullmatch(key)
    if match is None:
        raise UnsafeKeyError(f"{key!r} is no weekly report: {WEEKLY_REPORT_PREFIX}week=D/<audience>.<form> is expected")
    return date.fromisoformat(match[1])


WEEKLY_REPORT_PREFIX = "reports/weekly/"


def removal_key(name: str) -> str:
    """Key of a statement of what retention removes; `name` is the hash of the plan that asks for it."""
    return f"{REMOVAL_PREFIX}{_checked(_HASH, name, 'plan hash')}.json"


def suppression_key(tenant: str, request: str) -> str:
    """Key of the statement that an erased person's messages may not return; `request` is the erasure's id."""
    return f"{suppression_prefix(tenant)}{_checked(_RECORD, request, 'id of a request')}.json"


def suppression_prefix(tenant: str) -> str:
    """Prefix of all such statements of a tenant."""
    return f"{SUPPRESSION_PREFIX}{_checked(_TENANT, tenant, 'tenant')}/"


def identities_key(stream: str, day: date, tenant: str) -> str:
    """Key of the sealed identifiers that came with a stream's messages of a day: the tenant's table, by day."""
    folder = f"{identities_prefix(tenant)}day={day.isoformat()}"
    return f"{folder}/{_checked(_NAME, stream, 'stream')}.parquet"


def identities_placed(key: str) -> tuple[str, date]:
    """Tenant and day of an object of the identities table."""
    match = _IDENTITIES.fullmatch(key)
    if match is None:
        raise UnsafeKeyError(f"{key!r} is not in the table: identities/tenant=T/day=D/<stream>.parquet is expected")
    return match[1], date.fromisoformat(match[2])


def identities_prefix(tenant: str) -> str:
    """Prefix of a tenant's table of identities."""
    return f"{IDENTITIES_PREFIX}tenant={_checked(_TENANT, tenant, 'tenant')}/"


def evidence_key(number: int) -> str:
    """Key of an entry of the chain of evidence; entries are numbered from 1 without gaps."""
    return f"{EVIDENCE_PREFIX}{number:010d}.json"


def governance_key(kind: str, name: str) -> str:
    """Key of a record of governance: a plan, an approval, a hold."""
    return f"{governance_prefix(kind)}{_checked(_RECORD, name, 'name')}.json"


def governance_prefix(kind: str) -> str:
    """Prefix of all records of a kind."""
    return f"{GOVERNANCE_PREFIX}{_checked(_NAME, kind, 'kind')}/"


def connector_key(connector: str, stream: str) -> str:
    """Key of how far a stream of a connector has been read."""
    return f"{CONNECTOR_PREFIX}{_checked(_NAME, connector, 'connector')}/{_checked(_NAME, stream, 'stream')}.json"


CONNECTOR_PREFIX = "connectors/"
MANIFEST_PREFIX = "landing_manifests/"
LANDING_PREFIX = "landing/"
DEAD_PREFIX = "dead/"
RAW_PREFIX = "raw/"
EMPTY_PREFIX = "raw_empty/"
EXTRACT_PREFIX = "extracts/"
REPLAY_PREFIX = "replays/"
REVIEW_PREFIX = "reviews/"
REMOVAL_PREFIX = "removals/"
EVIDENCE_PREFIX = "evidence/"
SUPPRESSION_PREFIX = "suppressions/"
IDENTITIES_PREFIX = "identities/"
GOVERNANCE_PREFIX = "governance/"
RUN_LOGS_PREFIX = "run_logs/"


def manifest_days(key: str) -> tuple[date, date]:
    """First and last day that a manifest speaks about."""
    match = _MANIFEST.fullmatch(key)
    if match is None:
        raise UnsafeKeyError(f"{key!r} is no manifest: landing_manifests/<first day>_<last day>-…json is expected")
    first, last = (datetime.strptime(part, "%Y%m%d").date() for part in match.groups())  # noqa: DTZ007
    return first, last


def collected(name: str) -> Collected | None:
    """Which collector wrote an object or a manifest, and in which hour it was acknowledged; None for other writers'.

    Args:
        name: the last part of the key.
    """
    match = _COLLECTED.search(name)
    if match is None:
        return None
    return Collected(datetime.strptime(match[1], _HOUR).replace(tzinfo=UTC), match[2])


def placed(key: str) -> Placed:
    """Day, tenant and name of an object below a `day=…/tenant=…/` prefix (landing, dead letters, raw)."""
    match = _PARTITION.search(key)
    if match is None or match.end() != len(key):
        raise UnsafeKeyError(f"{key!r} is in no partition of the lake: …/day=D/tenant=T/<name> is expected")
    return Placed(date.fromisoformat(match[1]), match[2], match[3])


def probe_key(name: str) -> str:
    """Key of an object that only proves something of the store, and is deleted at once."""
    return f"probes/{_checked(_WRITER, name, 'probe')}"


def is_collector(writer: str) -> bool:
    """Whether a writer's name is a collector's."""
    return writer.startswith(COLLECTOR) and writer != COLLECTOR and _WRITER.fullmatch(writer) is not None


def _partition(day: date, tenant: str) -> str:
    if tenant != UNKNOWN_TENANT:
        _checked(_TENANT, tenant, "tenant")
    return f"day={day.isoformat()}/tenant={tenant}"


def _checked(pattern: re.Pattern[str], text: str, what: str) -> str:
    if pattern.fullmatch(text) is None:
        raise UnsafeKeyError(f"{text!r} cannot be the {what} of a key: it must match {pattern.pattern} in full")
    return text
