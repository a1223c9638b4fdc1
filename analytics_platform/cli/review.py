"""The quarterly data-quality review: building, reading and signing it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, read_catalog, read_settings, working

if TYPE_CHECKING:
    from analytics_platform.governance.review.desk import ReviewDesk, Shown
    from analytics_platform.governance.review.quarters import Quarter
    from analytics_platform.governance.review.signatures import Signature
    from analytics_platform.governance.review.signing import Standing


@click.group(cls=Group)
def review() -> None:
    """The quarterly data-quality review: can each team rely on its data, and who signed for it."""


@review.command()
@click.argument("quarter")
@as_json
def build(quarter: str, as_json: bool) -> None:
    """Build the review of a quarter (2026Q3) through Dagster; equal content keeps its signatures.

    Examples:
        analytics review build 2026Q3
    """
    from analytics_platform.defs.manifest import ensure_manifest
    from analytics_platform.defs.reviews import build_review

    asked = _quarter(quarter)
    ensure_manifest(read_settings())
    with working("Building the review"):
        run_id = build_review(read_settings(), asked)
    shown = _desk().show(asked)
    answer = {"run_id": run_id, **_answer(shown)}
    show(answer, as_json, [*_lines(shown), *_places(asked)])
    sys.exit(1 if shown.problems else 0)


@review.command("show")
@click.argument("quarter")
@as_json
def show_(quarter: str, as_json: bool) -> None:
    """Show verdicts, hash and signatures of a review; fails when anything was changed since it was written.

    Examples:
        analytics review show 2026Q3
    """
    asked = _quarter(quarter)
    shown = _desk().show(asked)
    show(_answer(shown), as_json, [*_lines(shown), *_places(asked)])
    sys.exit(1 if shown.problems else 0)


@review.command()
@click.argument("quarter")
@click.option("--role", required=True, help="The role that you sign for, as signoff_roles.yaml names it.")
@click.option("--name", required=True, help="Your name, as it stands in the review.")
@click.option("--content", required=True, help="Hash of the content that you read, or its first 12 characters.")
@click.option("--reason", help="Why you sign in another's place, or for a second role.")
@as_json
def sign(quarter: str, role: str, name: str, content: str, reason: str | None, as_json: bool) -> None:
    """Sign the review of a quarter that is over, as you were shown it.

    Examples:
        analytics review sign 2026Q3 --role finance_control --name "Ann Smit" --content 0f1e2d3c4b5a
    """
    from analytics_platform.governance.review.signing import Signing

    asked = Signing(role, name, content, reason)
    signature, standing = _desk().sign(_quarter(quarter), asked, datetime.now(UTC))
    answer = {"signature": signature.model_dump(mode="json"), **_standing(standing)}
    still = f"; still to sign: {', '.join(standing.open_roles)}" if standing.open_roles else ""
    said = f"{signature.signer} signed {signature.quarter} for {signature.role}. It is {standing.status}{still}"
    show(answer, as_json, [said])


def _quarter(text: str) -> Quarter:
    from analytics_platform.governance.review.quarters import Quarter

    return Quarter.parse(text)


def _desk() -> ReviewDesk:
    from analytics_platform.defs.resources import store_from
    from analytics_platform.governance.review.desk import ReviewDesk

    settings = read_settings()
    return ReviewDesk(store_from(settings), read_catalog(), settings.reporting_time_zone)


def _answer(shown: Shown) -> Mapping[str, Any]:
    content = shown.review.content
    return {
        "quarter": content.scope.quarter,
        "as_of": content.scope.as_of,
        "content_sha256": shown.review.sha256,
        "policy_sha256": content.scope.policy_sha256,
        "built_at": shown.review.building.built_at,
        "verdicts": {verdict.domain: verdict.answer for verdict in content.verdicts},
        **_standing(shown.standing),
        "problems": list(shown.problems),
    }


def _standing(standing: Standing) -> Mapping[str, Any]:
    return {
        "status": standing.status,
        "signatures": [_signed(each) for each in standing.current],
        "void": [{**_signed(each.signature), "differs": list(each.differs)} for each in standing.void],
        "open_roles": list(standing.open_roles),
    }


def _signed(signature: Signature) -> Mapping[str, Any]:
    told = ("role", "signer", "signed_at", "content_sha256", "reason")
    return {name: getattr(signature, name) for name in told}


def _lines(shown: Shown) -> list[str]:
    content, standing = shown.review.content, shown.standing
    lines = [
        f"Data-quality review {content.scope.quarter}, business days up to {content.scope.as_of}: {standing.status}",
        f"Content {shown.review.sha256}",
        "",
    ]
    for verdict in content.verdicts:
        lines.append(f"{verdict.title}: {verdict.answer}")
        lines += [f"  {reason.rule} {reason.saw}" for reason in verdict.reasons]
    lines.append("")
    lines += [f"Signed  {each.role}: {each.signer}, {_time(each)}{_why(each)}" for each in standing.current]
    lines += [f"Open    {role}" for role in standing.open_roles]
    for void in standing.void:
        each = void.signature
        lines.append(f"Void    {each.role}: {each.signer}, {_time(each)}; differs in {', '.join(void.differs)}")
    return lines + [f"CHANGED {problem}" for problem in shown.problems]


def _time(signature: Signature) -> str:
    return f"{signature.signed_at:%Y-%m-%d %H:%M} UTC"


def _why(signature: Signature) -> str:
    return f" ({signature.reason})" if signature.reason else ""


def _places(quarter: Quarter) -> list[str]:
    from analytics_platform.defs.resources import store_from
    from analytics_platform.lake.layout import review_key

    store = store_from(read_settings())
    return [
        "",
        *(f"{form.upper():<5}{store.address(review_key(str(quarter), form))}" for form in ("html", "pdf", "json")),
    ]
