"""What the gate answers: an admitted message as its landing line, or a refusal with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from analytics_platform.lake.dead_letters import ERASED as KEEPS_NOTHING

KeyKind = Literal["server", "browser", "scanner", "import"]
Site = Literal["product", "marketing"]


class Reason(StrEnum):
    """Why a line or a message became a dead letter; the values are prefixes of the lake and stay as they are."""

    TOO_LARGE = "too_large"
    TRUNCATED_SOURCE = "truncated_source"
    INVALID_ENCODING = "invalid_encoding"
    INVALID_JSON = "invalid_json"
    TOO_COMPLEX = "too_complex"
    INVALID_ENVELOPE = "invalid_envelope"
    UNKNOWN_TENANT = "unknown_tenant"
    TENANT_MISMATCH = "tenant_mismatch"
    TIME_SUSPECT = "time_suspect"
    UNKNOWN_EVENT = "unknown_event"
    SCHEMA_VIOLATION = "schema_violation"
    ID_CONFLICT = "id_conflict"
    UNMAPPED = "unmapped"
    PAST_RETENTION = "past_retention"
    ERASED = KEEPS_NOTHING


@dataclass(frozen=True, slots=True)
class WriteKeyContext:
    """Who sends: what the registry says of the write key that a message came with.

    `source` is the key's name; `events_per_second` is its own limit, None where the deployment's holds.
    """

    tenant: str
    source: str
    kind: KeyKind
    site: Site
    events_per_second: int | None = None


@dataclass(slots=True)
class Admitted:
    """A message that may land: `line` is its landing line, the other fields are what de-duplication needs.

    `payload_hash` stands for what the producer said, whatever was stamped on it on the way; `day` is the business day
    in the tenant's time zone.
    """

    tenant: str
    day: date
    stream: str
    message_id: str
    received_at: datetime
    sent_at: datetime | None
    payload_hash: str
    line: bytes


@dataclass(slots=True)
class Rejected:
    """A message that is a dead letter; where it belongs is None as far as it could not be told."""

    reason: Reason
    detail: str
    tenant: str | None = None
    day: date | None = None
    stream: str | None = None
