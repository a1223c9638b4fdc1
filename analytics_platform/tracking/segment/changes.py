"""The difference between the workspace as it is and as it should be, as steps that can each be made and told.

Steps come in the order in which they depend on each other. A step knows ids that were there or that earlier steps
made; when an earlier one failed, those that need its id are left for the next run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from analytics_platform.tracking.segment.api import Json, PublicApi, SegmentApiError
from analytics_platform.tracking.segment.desired import PLAN_DESCRIPTION, PLAN_NAME, Desired, Source
from analytics_platform.tracking.segment.workspace import (
    DESTINATION_NAME,
    SUBSCRIPTION_NAME,
    WEBHOOK_TYPE,
    Actual,
)

#: Rules that Segment takes in one call.
RULES_A_CALL = 200

_DETAILS_SHOWN = 12
_VALUE_SHOWN = 80
_MASK = "•"
_TRIGGER = " or ".join(f'type = "{call}"' for call in ("track", "page", "screen", "identify", "group", "alias"))

Action = Literal["create", "update", "delete", "connect"]
Ids = Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """One thing that differs; `details` are lines for a reader, secrets masked."""

    action: Action
    kind: str
    name: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One call to Segment and the changes that it makes; `make` returns the id of what it created."""

    changes: tuple[Change, ...]
    make: Callable[[PublicApi, Ids], str | None] = field(repr=False)
    needs: tuple[str, ...] = ()
    gives: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a step: made, failed with what Segment said, or left because an earlier one failed."""

    step: Step
    state: Literal["made", "failed", "left"]
    problem: str | None = None


def steps(desired: Desired, actual: Actual) -> list[Step]:
    """What has to be called so that the workspace is as desired; nothing when it is."""
    found = [*_plan_steps(actual), *_rule_steps(desired, actual)]
    for source in desired.sources:
        found += [
            *_source_steps(source, actual),
            *_connection_steps(source, actual),
            *_destination_steps(source, desired, actual),
        ]
    return found


def make(found: Sequence[Step], api: PublicApi, actual: Actual) -> Iterator[Outcome]:
    """Make the steps in order; one that fails stops only those that need what it would have made."""
    ids = _known_ids(actual)
    for step in found:
        missing = [need for need in step.needs if need not in ids]
        if missing:
            yield Outcome(step, "left", f"needs the {missing[0]}, which could not be made")
            continue
        try:
            made = step.make(api, ids)
        except SegmentApiError as error:
            yield Outcome(step, "failed", str(error))
            continue
        if step.gives is not None and made is not None:
            ids[step.gives] = made
        yield Outcome(step, "made")


def _known_ids(actual: Actual) -> dict[str, str]:
    ids = {f"source {slug}": str(found["id"]) for slug, found in actual.sources.items()}
    ids |= {f"destination {slug}": str(found["id"]) for slug, found in actual.destinations.items()}
    return ids | ({"tracking plan": str(actual.plan["id"])} if actual.plan else {})


def _plan_steps(actual: Actual) -> Iterator[Step]:
    body = {"name": PLAN_NAME, "description": PLAN_DESCRIPTION}
    if actual.plan is None:

        def create(api: PublicApi, ids: Ids) -> str:
            return str(api.post("/tracking-plans", {**body, "type": "LIVE"})["trackingPlan"]["id"])

        yield Step((Change("create", "tracking plan", PLAN_NAME),), create, gives="tracking plan")
        return
    details = differences({"description": actual.plan.get("description")}, {"description": PLAN_DESCRIPTION})
    if details:
        path = f"/tracking-plans/{actual.plan['id']}"
        change = Change("update", "tracking plan", PLAN_NAME, details)
        yield Step((change,), _patch(path, body))


def _rule_steps(desired: Desired, actual: Actual) -> Iterator[Step]:
    """Only rules that differ, unless some must go: Segment then takes the whole plan, in the fewest calls."""
    changes = {change.name: change for change in _rule_changes(desired, actual)}
    deleted = tuple(change for change in changes.values() if change.action == "delete")
    sent = list(desired.rules) if deleted else [name for name in desired.rules if name in changes]
    for start in range(0, max(len(sent), len(deleted) and 1), RULES_A_CALL):
        names = sent[start : start + RULES_A_CALL]
        replaces = bool(deleted) and start == 0
        told = tuple(changes[name] for name in names if name in changes) + (deleted if replaces else ())
        yield Step(told, _rules_call([desired.rules[name] for name in names], replaces), needs=("tracking plan",))


def _rules_call(rules: Sequence[Mapping[str, Any]], replaces: bool) -> Callable[[PublicApi, Ids], None]:
    def call(api: PublicApi, ids: Ids) -> None:
        path, body = f"/tracking-plans/{ids['tracking plan']}/rules", {"rules": [dict(rule) for rule in rules]}
        (api.put if replaces else api.patch)(path, body)

    return call


def _rule_changes(desired: Desired, actual: Actual) -> Iterator[Change]:
    for name, rule in desired.rules.items():
        there = actual.rules.get(name)
        if there is None:
            yield Change("create", "rule", name)
        elif details := differences(there["jsonSchema"], rule["jsonSchema"]):
            yield Change("update", "rule", name, details)
    yield from (Change("delete", "rule", name) for name in actual.rules if name not in desired.rules)


def _source_steps(source: Source, actual: Actual) -> Iterator[Step]:
    there = actual.sources.get(source.slug)
    if there is None:
        body = {"slug": source.slug, "enabled": True, "metadataId": actual.source_types[source.source_type]}

        def create(api: PublicApi, ids: Ids) -> str:
            return str(api.post("/sources", body)["source"]["id"])

        change = Change("create", "source", source.slug, (f"type: {source.source_type}",))
        yield Step((change,), create, gives=f"source {source.slug}")
    elif details := differences({"enabled": there["enabled"]}, {"enabled": True}):
        path = f"/sources/{there['id']}"
        change = Change("update", "source", source.slug, details)
        yield Step((change,), _patch(path, {"enabled": True}))


def _connection_steps(source: Source, actual: Actual) -> Iterator[Step]:
    there = actual.sources.get(source.slug)
    if there is not None and there["id"] in actual.connected:
        return
    need = f"source {source.slug}"

    def connect(api: PublicApi, ids: Ids) -> None:
        api.post(f"/tracking-plans/{ids['tracking plan']}/sources", {"sourceId": ids[need]})

    yield Step((Change("connect", "source to tracking plan", source.slug),), connect, needs=("tracking plan", need))


def _destination_steps(source: Source, desired: Desired, actual: Actual) -> Iterator[Step]:
    there = actual.destinations.get(source.slug)
    if source.secret is None:
        if there is not None and there["enabled"]:
            path = f"/destinations/{there['id']}"
            change = Change(
                "update", "destination", source.slug, ("enabled: true -> false (no webhook in the settings)",)
            )
            yield Step((change,), _patch(path, {"enabled": False}))
        return
    settings = {"sharedSecret": source.secret}
    if there is None:
        yield _new_destination(source, settings)
    elif details := _destination_details(there, source.secret):
        path = f"/destinations/{there['id']}"
        body = {"enabled": True, "settings": settings}
        yield Step((Change("update", "destination", source.slug, details),), _patch(path, body))
    yield from _subscription_steps(source, desired, actual)


def _new_destination(source: Source, settings: Json) -> Step:
    need = f"source {source.slug}"
    body = {"metadataId": WEBHOOK_TYPE, "name": DESTINATION_NAME, "enabled": True, "settings": settings}

    def create(api: PublicApi, ids: Ids) -> str:
        return str(api.post("/destinations", {"sourceId": ids[need], **body})["destination"]["id"])

    change = Change("create", "destination", source.slug, ("type: Webhooks (Actions)",))
    return Step((change,), create, needs=(need,), gives=f"destination {source.slug}")


def _destination_details(there: Json, secret: str) -> tuple[str, ...]:
    """What differs. Segment shows the end of a secret only, so two secrets with the same end look equal."""
    details = differences({"enabled": there["enabled"]}, {"enabled": True})
    shown = str(there["settings"].get("sharedSecret") or "")
    same = secret.endswith(shown.lstrip(_MASK)) and bool(shown) if _MASK in shown else shown == secret
    return details if same else (*details, "sharedSecret: differs")


def _subscription_steps(source: Source, desired: Desired, actual: Actual) -> Iterator[Step]:
    wanted = {
        "trigger": _TRIGGER,
        "enabled": True,
        "settings": {"url": desired.webhook_url, "method": "POST", "data": {"@path": "$."}},
    }
    need = f"destination {source.slug}"
    there = actual.subscriptions.get(source.slug)
    if there is None:
        body = {"name": SUBSCRIPTION_NAME, "actionId": actual.webhook_action, **wanted}

        def create(api: PublicApi, ids: Ids) -> None:
            api.post(f"/destinations/{ids[need]}/subscriptions", body)

        change = Change("create", "subscription", source.slug, (f"url: {desired.webhook_url}",))
        yield Step((change,), create, needs=(need,))
        return
    known = {**there, "settings": {key: there["settings"].get(key) for key in ("url", "method", "data")}}
    if details := differences({key: known[key] for key in wanted}, wanted):
        path = f"/destinations/{there['destinationId']}/subscriptions/{there['id']}"
        change = Change("update", "subscription", source.slug, details)
        yield Step((change,), _patch(path, {"input": wanted}))


def _patch(path: str, body: Json) -> Callable[[PublicApi, Ids], None]:
    def call(api: PublicApi, ids: Ids) -> None:
        api.patch(path, body)

    return call


def differences(there: Any, wanted: Any) -> tuple[str, ...]:
    """Lines `path: there -> wanted` of all that differs between two JSON values, the longest lists cut short."""
    before, after = dict(_leaves(there)), dict(_leaves(wanted))
    lines = [
        f"{path or 'value'}: {_text(before, path)} -> {_text(after, path)}"
        for path in {**after, **before}
        if (path in before, before.get(path)) != (path in after, after.get(path))
    ]
    cut = len(lines) - _DETAILS_SHOWN
    return tuple(lines[:_DETAILS_SHOWN]) + ((f"and {cut} more",) if cut > 0 else ())


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value that is not an object, by its path, as JSON text (which also tells true from 1)."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(value, ensure_ascii=False, sort_keys=True)


def _text(leaves: Mapping[str, str], path: str) -> str:
    text = leaves.get(path, "absent")
    return text if len(text) <= _VALUE_SHOWN else f"{text[: _VALUE_SHOWN - 1]}…"
