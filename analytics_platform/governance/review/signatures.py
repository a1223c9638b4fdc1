"""A signature: who signed what, when, sealed by a hash over itself and the signature before it.

The seal makes any later change of a signature, or a missing one between two others, show. It is no secret: whoever
may write the lake and recomputes every seal can forge one, which only the lake's own access rules and versions
prevent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AwareDatetime, StringConstraints, ValidationError

from analytics_platform.governance.review.content import Part, Sha256, canonical
from analytics_platform.lake.layout import signature_key, signature_number, signature_prefix
from analytics_platform.lake.store import ObjectStore

FIRST_SEAL = "0" * 64
"""Stands for the seal before the first signature."""

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=200)]


class Statement(Part):
    """What a signer states.

    Attributes:
        number: its place among the quarter's signatures, from 1.
        quarter: of the review.
        role: a sign-off role of the catalogue.
        signer: name of the person.
        signed_at: when.
        content_sha256: hash of the content that was signed.
        sections: hash of each of its sections, so that what differs later can be told.
        reason: why this person signs beside or instead of another; None where nothing asks for one.
        previous_seal: of the signature before.
    """

    number: int
    quarter: str
    role: str
    signer: Words
    signed_at: AwareDatetime
    content_sha256: Sha256
    sections: dict[str, Sha256]
    reason: Words | None
    previous_seal: Sha256


class Signature(Statement):
    """A statement with its seal: the SHA-256 of its canonical JSON."""

    seal: Sha256


@dataclass(frozen=True)
class Signatures:
    """All signatures of a review that can be read, in order, and what is wrong with the others."""

    valid: tuple[Signature, ...]
    problems: tuple[str, ...]


def sealed(statement: Statement) -> Signature:
    """The statement with its seal."""
    return Signature(**statement.model_dump(), seal=_seal(statement))


def read_signatures(store: ObjectStore, quarter: str) -> Signatures:
    """Read all signatures of a quarter's review and verify seals, order and places."""
    valid: list[Signature] = []
    problems: list[str] = []
    previous = FIRST_SEAL
    for expected, info in enumerate(store.list(signature_prefix(quarter)), start=1):
        found = _parsed(store.get(info.key))
        wrong = "cannot be read" if found is None else _wrong_with(found, quarter, signature_number(info.key), expected)
        if found is not None and wrong is None and found.previous_seal != previous:
            wrong = "does not follow from the signature before it"
        if found is None or wrong is not None:
            problems.append(f"{info.key} {wrong}: it was changed, moved or its predecessor removed")
        else:
            valid.append(found)
        previous = found.seal if found else previous
    return Signatures(tuple(valid), tuple(problems))


def write_signature(store: ObjectStore, signature: Signature) -> str:
    """Put a signature under its number; answers its key.

    Raises:
        ObjectExistsError: somebody else has signed under that number meanwhile.
    """
    key = signature_key(signature.quarter, signature.number)
    store.put(key, canonical(signature), if_none_match=True)
    return key


def next_place(signatures: Sequence[Signature]) -> tuple[int, str]:
    """Number and previous seal of the signature to come."""
    return len(signatures) + 1, signatures[-1].seal if signatures else FIRST_SEAL


def _parsed(data: bytes) -> Signature | None:
    try:
        return Signature.model_validate_json(data)
    except ValidationError:
        return None  # told as a problem by the caller, which knows the key


def _wrong_with(signature: Signature, quarter: str, number: int, expected: int) -> str | None:
    statement = Statement.model_validate(signature.model_dump(exclude={"seal"}))
    if _seal(statement) != signature.seal:
        return "is not what was sealed"
    if number != expected or signature.number != number:
        return "is not in its place"
    return None if signature.quarter == quarter else "is of another quarter"


def _seal(statement: Statement) -> str:
    return hashlib.sha256(canonical(statement)).hexdigest()
