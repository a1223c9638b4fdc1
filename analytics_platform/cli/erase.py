"""Erasure: a person is found in every place, approved by somebody else, erased, searched for anew; and the receipt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import as_json, read_settings, working

if TYPE_CHECKING:
    from analytics_platform.governance.erasure.desk import Asked, ErasureDesk, ErasureOutcome
    from analytics_platform.governance.erasure.links import Given
    from analytics_platform.governance.erasure.receipt import Receipt

_BY = click.option("--by", required=True, metavar="NAME", help="Who answers for this; goes on record.")


@click.group(cls=Group)
def erase() -> None:
    """A person who asks for it: found in every place, approved by somebody else, erased, and searched for anew."""


@erase.command()
@_BY
@click.option("--tenant", required=True, help="Whose data the person is in.")
@click.option(
    "--reason", required=True, help="Why, such as the article relied on; goes on record, so no personal data."
)
@click.option("--id", "ids", multiple=True, help="A pseudonymous id or a keyed reference; may be repeated.")
@click.option("--email", multiple=True, help="An e-mail address; may be repeated, as all that follow.")
@click.option("--phone", multiple=True, help="A phone number.")
@click.option("--account", multiple=True, help="A bank account.")
@click.option("--name", multiple=True, help="A full name; searched for by its reference alone.")
@click.option("--ip", multiple=True, help="An IP address; searched for by its reference alone.")
@click.option("--except", "excluded", multiple=True, help="An id that was found and is somebody else's.")
@as_json
def request(by: str, tenant: str, reason: str, as_json: bool, **named: tuple[str, ...]) -> None:
    """Find a person over all places and put the request on record; nothing is erased.

    The ids are shown here and nowhere else.

    Examples:
        analytics erase request --by "Ann Smit" --tenant delta-events --reason "Art. 17" --email ann@example.com
    """
    with working("Looking in every place"):
        asked = _desk().request(tenant, _given(named), by=by, reason=reason)
    show(_asked(asked), as_json, _asked_lines(asked))


@erase.command()
@click.argument("request_id")
@as_json
def plan(request_id: str, as_json: bool) -> None:
    """Find the person of a request anew and draw another plan, which has to be approved.

    Examples:
        analytics erase plan er-20261127-1
    """
    desk = _desk()
    asked = desk.plan_again(desk.requests.find(request_id))
    show(_asked(asked), as_json, _asked_lines(asked))


@erase.command()
@click.argument("request_id")
@_BY
@click.option("--plan", "plan_hash", required=True, help="The plan's hash, or its beginning, as `status` shows it.")
@as_json
def approve(request_id: str, by: str, plan_hash: str, as_json: bool) -> None:
    """Agree to the plan of a request; who made the request cannot.

    Examples:
        analytics erase approve er-20261127-1 --plan 0f1e2d3c4b5a --by "Bo Visser"
    """
    desk = _desk()
    found = desk.requests.find(request_id)
    planned = desk.approve(found, plan_hash, by=by)
    answer = {"request": found.request_id, "plan": planned.hash, "approved_by": by}
    lines = [
        f"{by} approved {planned.hash[:12]} of {found.request_id}",
        f"The daily job carries it out; at once with: analytics erase run {found.request_id} --by NAME",
    ]
    show(answer, as_json, lines)


@erase.command()
@click.argument("request_id")
@_BY
@as_json
def run(request_id: str, by: str, as_json: bool) -> None:
    """Erase what an approved plan says, or finish what was begun, and search every place for what is left.

    Examples:
        analytics erase run er-20261127-1 --by "Bo Visser"
    """
    desk = _desk()
    with working("Erasing, and searching every place anew"):
        outcome = desk.run(desk.requests.find(request_id), by=by)
    show(outcome.as_dict(), as_json, _outcome_lines(outcome))


@erase.command()
@click.argument("request_id", required=False)
@as_json
def status(request_id: str | None, as_json: bool) -> None:
    """How requests stand, with what was found by place; keyed hashes alone.

    Examples:
        analytics erase status
        analytics erase status er-20261127-1 --json
    """
    desk = _desk()
    wanted = [desk.requests.find(request_id)] if request_id else desk.requests.all()
    receipts = [_receipt(desk, each.request_id) for each in wanted]
    plans = [desk.requests.plan(each) for each in wanted] if request_id else []
    subjects = list(plans[0].subjects) if plans and plans[0] else []
    answer = {"requests": [each.as_dict() for each in receipts], **({"subjects": subjects} if request_id else {})}
    lines = [_status_line(each) for each in receipts] or ["No requests"]
    if request_id:
        lines += [f"  {e.sink:<16} {e.dataset:<48} {e.fate:<8} {e.units:,}" for e in receipts[0].lines]
        lines += [f"  id {each}" for each in subjects]
    show(answer, as_json, lines)


@erase.command()
@click.argument("request_id")
@click.option(
    "--out", "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=".", help="Where to write it."
)
@as_json
def receipt(request_id: str, folder: Path, as_json: bool) -> None:
    """Write the receipt as HTML, PDF and JSON; it names the person by keyed hash alone.

    Examples:
        analytics erase receipt er-20261127-1 --out receipts/
    """
    desk = _desk()
    drawn = _receipt(desk, desk.requests.find(request_id).request_id)
    paths = _written(drawn, folder)
    answer = {**drawn.as_dict(), "files": [str(path) for path in paths]}
    show(answer, as_json, [_status_line(drawn), *(f"  {path}" for path in paths)])


def _desk() -> ErasureDesk:
    from analytics_platform.defs.erasure import erasure_desk

    return erasure_desk(read_settings())


def _given(named: dict[str, tuple[str, ...]]) -> Given:
    from analytics_platform.governance.erasure.links import Given
    from analytics_platform.identities.references import Kind

    kinds: dict[str, Kind] = {"email": "email", "phone": "phone", "account": "account", "name": "name", "ip": "ip"}
    identifiers = frozenset((kind, value) for name, kind in kinds.items() for value in named[name])
    return Given(frozenset(named["ids"]), identifiers, frozenset(named["excluded"]))


def _receipt(desk: ErasureDesk, request_id: str) -> Receipt:
    from analytics_platform.cli.common import read_catalog
    from analytics_platform.defs.erasure import purging_of
    from analytics_platform.governance.erasure.receipt import receipt_of

    found = desk.requests.find(request_id)
    return receipt_of(desk.requests, found, read_catalog(), purging_of(read_settings()), datetime.now(UTC))


def _written(drawn: Receipt, folder: Path) -> list[Path]:
    import orjson

    from analytics_platform.documents import render_html, render_pdf
    from analytics_platform.governance.erasure.receipt import receipt_document

    document = receipt_document(drawn)
    forms = {
        "html": render_html(document),
        "pdf": render_pdf(document),
        "json": orjson.dumps(drawn.as_dict(), option=orjson.OPT_INDENT_2),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = {form: folder / f"erasure-{drawn.request.request_id}.{form}" for form in forms}
    for form, path in paths.items():
        path.write_bytes(forms[form])
    return list(paths.values())


def _asked(asked: Asked) -> dict[str, Any]:
    return {
        "request": asked.request.request_id,
        "tenant": asked.request.tenant,
        "plan": asked.plan.hash,
        "units": asked.plan.units,
        "ids": list(asked.person.terms),
        **asked.plan.as_dict(),
    }


def _asked_lines(asked: Asked) -> list[str]:
    found = [
        f"  {each.sink:<16} {each.dataset:<48} {each.action:<7} {each.units:,}"
        + (f"  {each.first} to {each.last}" if each.first else "")
        for each in asked.plan.found
    ]
    return [
        f"Request {asked.request.request_id} of {asked.request.tenant}",
        f"Known as (shown here alone): {', '.join(asked.person.terms)}",
        *found,
        f"Plan {asked.plan.hash}",
        "Somebody else looks at it with `analytics erase status` and approves it with: "
        f"analytics erase approve {asked.request.request_id} --plan {asked.plan.hash[:12]} --by NAME",
    ]


def _outcome_lines(outcome: ErasureOutcome) -> list[str]:
    what = "was erased before" if outcome.already_done else "is erased"
    searched: Sequence[str] = [f"  searched {each.searched:,} {each.sink}: nothing" for each in outcome.searched]
    held = [f"  held: {each.sink} {each.dataset}, {each.units:,}" for each in outcome.held]
    return [f"{outcome.request.request_id} {what}, and nothing survives", *searched, *held]


def _status_line(drawn: Receipt) -> str:
    request = drawn.request
    kept = f", last record kept until {drawn.final_erasure_on}" if drawn.final_erasure_on else ""
    return (
        f"{request.request_id}  {drawn.state:<8} {request.tenant:<18} asked {request.requested_at:%Y-%m-%d}, "
        f"answer due {drawn.answer_due_on}, plan {(drawn.plan or 'none')[:12]}{kept}"
    )
