"""Who may sign a review, and how it stands: DRAFT until every role has signed the content that is there.

A signature binds to the hash of the content. One whose hash is another's is void: it is kept and shown, with the
sections that differ. So a rebuild that differs makes the review a draft again, and one that is equal changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from analytics_platform.catalog import SignoffRole
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.review.archive import (
    Render,
    Review,
    differing_forms,
    keep_signed,
    missing_signed,
)
from analytics_platform.governance.review.content import section_hashes
from analytics_platform.governance.review.signatures import (
    Signature,
    Signatures,
    Statement,
    next_place,
    read_signatures,
    sealed,
    write_signature,
)
from analytics_platform.lake.store import ObjectExistsError, ObjectStore

Status = Literal["DRAFT", "SIGNED"]

SHORTEST_HASH = 12
"""Characters of the hash that a signer has to give: enough that no other content has them."""


class SigningRefusedError(AnalyticsError):
    """A signature was not taken; the text says why and what to do."""


@dataclass(frozen=True)
class Void:
    """A signature to another content, and the sections in which that differs from the one that is there."""

    signature: Signature
    differs: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """How a review stands.

    Attributes:
        status: SIGNED only when nothing is wrong and every role has signed the content that is there.
        current: signatures to that content.
        void: signatures to others.
        open_roles: roles whose signature is missing.
        problems: what was tampered with, by key.
    """

    status: Status
    current: tuple[Signature, ...]
    void: tuple[Void, ...]
    open_roles: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Signing:
    """What a person asks to sign: the hash is that of the content that they were shown, or its first characters."""

    role: str
    signer: str
    shown_sha256: str
    reason: str | None = None


def standing(store: ObjectStore, review: Review, roles: Mapping[str, SignoffRole]) -> Standing:
    """How the review stands by what lies in the lake."""
    quarter = review.content.scope.quarter
    read = read_signatures(store, quarter)
    problems = [*_problems_of_content(review), *read.problems, *_problems_of_signed(store, quarter, read)]
    current = tuple(each for each in read.valid if each.content_sha256 == review.sha256)
    void = tuple(_void(each, review) for each in read.valid if each.content_sha256 != review.sha256)
    signed_by = {each.role for each in current}
    still_open = tuple(role for role in roles if role not in signed_by)
    is_signed = bool(roles) and not still_open and not problems
    return Standing("SIGNED" if is_signed else "DRAFT", current, void, still_open, tuple(problems))


def sign(
    store: ObjectStore, review: Review, roles: Mapping[str, SignoffRole], asked: Signing, at: datetime
) -> Signature:
    """Sign the review that lies in the lake.

    Raises:
        SigningRefusedError: the content is not the one that was shown or was changed, the quarter is not over, the
        role is
            unknown or has signed, a reason is missing, or somebody else signs at the same time.
    """
    now = standing(store, review, roles)
    _refuse_tampered(now)
    _refuse_other_content(review, asked)
    _refuse_role(asked, roles, now)
    _refuse_without_reason(asked, now)
    earlier = read_signatures(store, review.content.scope.quarter).valid
    number, previous_seal = next_place(earlier)
    statement = Statement(
        number=number,
        quarter=review.content.scope.quarter,
        role=asked.role,
        signer=asked.signer,
        signed_at=at,
        content_sha256=review.sha256,
        sections=section_hashes(review.content),
        reason=asked.reason,
        previous_seal=previous_seal,
    )
    signature = sealed(statement)
    keep_signed(store, review.content)
    try:
        write_signature(store, signature)
    except ObjectExistsError as error:
        raise SigningRefusedError("somebody else has signed at the same time; look at it and sign again") from error
    return signature


def tampered(store: ObjectStore, now: Standing, quarter: str, render: Callable[[Standing], Render]) -> list[str]:
    """Everything in the lake that is not what the content and its signatures give, forms included."""
    stale = differing_forms(store, quarter, render(now))
    return [*now.problems, *(f"{key} is not what the content gives: build the review again" for key in stale)]


def _problems_of_content(review: Review) -> list[str]:
    if review.is_intact:
        return []
    return [
        f"review.json says that its content has the hash {review.stated_sha256[:SHORTEST_HASH]}, but it has "
        f"{review.sha256[:SHORTEST_HASH]}: it was changed after it was built"
    ]


def _problems_of_signed(store: ObjectStore, quarter: str, read: Signatures) -> list[str]:
    hashes = sorted({each.content_sha256 for each in read.valid})
    return [problem for sha256 in hashes if (problem := missing_signed(store, quarter, sha256))]


def _void(signature: Signature, review: Review) -> Void:
    now = section_hashes(review.content)
    names = sorted(now.keys() | signature.sections.keys())
    return Void(signature, tuple(name for name in names if now.get(name) != signature.sections.get(name)))


def _refuse_tampered(now: Standing) -> None:
    if now.problems:
        raise SigningRefusedError(f"nothing can be signed while this is wrong: {'; '.join(now.problems)}")


def _refuse_other_content(review: Review, asked: Signing) -> None:
    shown = asked.shown_sha256.strip().lower()
    quarter = review.content.scope.quarter
    if len(shown) < SHORTEST_HASH or not review.sha256.startswith(shown):
        raise SigningRefusedError(
            f"the content that you were shown ({shown or 'no hash'}) is not the one of {quarter} that is there "
            f"({review.sha256[:SHORTEST_HASH]}…); read `analytics review show {quarter}` and give at least "
            f"{SHORTEST_HASH} characters of its hash"
        )
    if not review.content.scope.is_over:
        raise SigningRefusedError(
            f"this is a preview up to {review.content.scope.as_of}; {quarter} can be signed when it is over and "
            f"built again"
        )


def _refuse_role(asked: Signing, roles: Mapping[str, SignoffRole], now: Standing) -> None:
    if asked.role not in roles:
        raise SigningRefusedError(f"{asked.role!r} is no sign-off role; the roles are {', '.join(roles)}")
    if len(asked.signer.strip()) < 2:
        raise SigningRefusedError("a signature needs the name of a person: give it with --name")
    if any(each.role == asked.role and _same(each.signer, asked.signer) for each in now.current):
        raise SigningRefusedError(f"{asked.signer} has signed this content for {asked.role} already")


def _refuse_without_reason(asked: Signing, now: Standing) -> None:
    if asked.reason and len(asked.reason.strip()) > 1:
        return
    earlier = [*now.current, *(each.signature for each in now.void)]
    if other := _other_signer(asked, earlier):
        raise SigningRefusedError(f"{other} has signed for {asked.role} before; say with --reason why you do now")
    if role := _other_role(asked, now.current):
        raise SigningRefusedError(
            f"{asked.signer} has signed this content for {role}; say with --reason why one person signs for two roles"
        )


def _other_signer(asked: Signing, earlier: Sequence[Signature]) -> str | None:
    return next(
        (each.signer for each in earlier if each.role == asked.role and not _same(each.signer, asked.signer)), None
    )


def _other_role(asked: Signing, current: Sequence[Signature]) -> str | None:
    return next((each.role for each in current if each.role != asked.role and _same(each.signer, asked.signer)), None)


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
