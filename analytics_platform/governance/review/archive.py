"""Reviews in the lake: one JSON with the content, and the forms that people read, rendered from it and its signatures.

Every object is written whole, and only when its bytes differ from those that are there. A building with equal content
leaves the JSON as it is, the cover's time and runs with it, so that an unchanged rebuild changes no byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import orjson
from pydantic import ValidationError

from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.review.content import (
    Building,
    Content,
    Part,
    Sha256,
    canonical,
    content_hash,
)
from analytics_platform.lake.layout import REVIEW_PREFIX, review_key, reviewed_quarter, signed_content_key
from analytics_platform.lake.store import ObjectExistsError, ObjectMissingError, ObjectStore

Form = Literal["html", "pdf"]
FORMS: tuple[Form, ...] = ("html", "pdf")

Render = Callable[[Form], bytes]


class ReviewMissingError(AnalyticsError):
    """There is no review of the quarter."""


class ReviewUnreadableError(AnalyticsError):
    """The review's JSON is none of this platform's."""


class Kept(Part):
    """The review's JSON as it lies in the lake."""

    content_sha256: Sha256
    building: Building
    content: Content


@dataclass(frozen=True)
class Review:
    """A review as read back: `stated_sha256` is what the file says, `sha256` what its content has."""

    content: Content
    building: Building
    stated_sha256: str
    sha256: str

    @property
    def is_intact(self) -> bool:
        """Whether the content is the one that was written."""
        return self.stated_sha256 == self.sha256


def read_review(store: ObjectStore, quarter: str) -> Review:
    """The quarter's review.

    Raises:
        ReviewMissingError: it was never built.
        ReviewUnreadableError: its JSON is not one of ours; the text names the field.
    """
    key = review_key(quarter, "json")
    try:
        kept = Kept.model_validate_json(store.get(key))
    except ObjectMissingError as error:
        raise ReviewMissingError(
            f"there is no review of {quarter}; `analytics review build {quarter}` makes it"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise ReviewUnreadableError(
            f"{key} is no review of this version ({where}: {first['msg']}); `analytics review build {quarter}` "
            f"makes it anew"
        ) from error
    return Review(kept.content, kept.building, kept.content_sha256, content_hash(kept.content))


def find_review(store: ObjectStore, quarter: str) -> Review | None:
    """The quarter's review, None when it was never built. Raises `ReviewUnreadableError`."""
    return read_review(store, quarter) if store.info(review_key(quarter, "json")) else None


def kept_quarters(store: ObjectStore) -> list[str]:
    """The quarters whose review is in the lake, the oldest first."""
    return [quarter for info in store.list(REVIEW_PREFIX) if (quarter := reviewed_quarter(info.key))]


def keep_review(store: ObjectStore, content: Content, building: Building) -> Review:
    """Write a review's JSON, unless the one that is there has the same content and is intact; answers what is there."""
    quarter = content.scope.quarter
    sha256 = content_hash(content)
    try:
        known = find_review(store, quarter)
    except ReviewUnreadableError:
        known = None  # what is no review cannot hold this content: it is replaced, as its message says
    if known and known.is_intact and known.sha256 == sha256:
        return known
    kept = Kept(content_sha256=sha256, building=building, content=content)
    put_if_changed(store, review_key(quarter, "json"), pretty(kept))
    return Review(content, building, sha256, sha256)


def keep_forms(store: ObjectStore, quarter: str, render: Render) -> dict[str, int]:
    """Render HTML and PDF and write what has changed; answers the bytes by key."""
    sizes = {}
    for form in FORMS:
        data = render(form)
        put_if_changed(store, review_key(quarter, form), data)
        sizes[review_key(quarter, form)] = len(data)
    return sizes


def differing_forms(store: ObjectStore, quarter: str, render: Render) -> list[str]:
    """Keys of forms that are missing or not what the content and its signatures give."""
    keys: Mapping[str, Form] = {review_key(quarter, form): form for form in FORMS}
    return [key for key, form in keys.items() if not _is_there(store, key, render(form))]


def keep_signed(store: ObjectStore, content: Content) -> None:
    """Keep a content as somebody is about to sign it; the same one twice is one object."""
    key = signed_content_key(content.scope.quarter, content_hash(content))
    try:
        store.put(key, canonical(content), if_none_match=True)
    except ObjectExistsError:
        return  # the key is its hash, so these are the same bytes, or `missing_signed` tells


def missing_signed(store: ObjectStore, quarter: str, sha256: str) -> str | None:
    """What is wrong with a kept content that was signed under this hash; None when it is as it was signed."""
    key = signed_content_key(quarter, sha256)
    if store.info(key) is None:
        return f"{key} is gone: what was signed can no longer be shown"
    if hashlib.sha256(store.get(key)).hexdigest() != sha256:
        return f"{key} was changed: it is not what was signed"
    return None


def put_if_changed(store: ObjectStore, key: str, data: bytes) -> None:
    """Write an object unless it has these bytes already."""
    if not _is_there(store, key, data):
        store.put(key, data)


def pretty(part: Part) -> bytes:
    """JSON for people and tools: sorted and indented; equal parts give equal bytes."""
    return orjson.dumps(part.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2) + b"\n"


def _is_there(store: ObjectStore, key: str, data: bytes) -> bool:
    return store.info(key) is not None and store.get(key) == data
