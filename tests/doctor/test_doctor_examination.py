"""Probes are run one by one, for a bounded time, and what they find shows no secret."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from examined import deployment

from analytics_platform.doctor.deployment import CannotLookError, Deployment
from analytics_platform.doctor.examination import chosen, examine, outcomes
from analytics_platform.doctor.findings import Finding, ok, told_by, warn
from analytics_platform.doctor.probes import PROBES, Look, Probe
from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import PROJECT_ROOT, Settings, SettingsError


def probe(look: Look) -> Probe:
    return Probe("tried", "what is tried", look)


def found_by(look: Look, of: Deployment, timeout: float = 5.0) -> tuple[Finding, ...]:
    return examine(of, [probe(look)], timeout=timeout)[0].findings


def test_a_probe_that_breaks_keeps_what_it_found_and_stops_no_other(tmp_path: Path) -> None:
    def breaks(of: Deployment) -> Iterator[Finding]:
        yield ok("first", "fine")
        raise KeyError(of.settings.home.name)

    def works(of: Deployment) -> Iterator[Finding]:
        yield ok("other", str(of.settings.home))

    looked = examine(deployment(tmp_path), [probe(breaks), probe(works)], timeout=5)

    assert [[each.outcome for each in probe.findings] for probe in looked] == [["ok", "fail"], ["ok"]]
    assert looked[0].findings[1].found == f"KeyError: '{tmp_path.name}'"
    assert outcomes(looked) == {"ok": 2, "fail": 1}


def test_a_probe_that_does_not_come_back_is_left_alone(tmp_path: Path) -> None:
    forever = threading.Event()

    def hangs(of: Deployment) -> Iterator[Finding]:
        yield ok("first", str(of.settings.home))
        forever.wait()

    (looked,) = examine(deployment(tmp_path), [probe(hangs)], timeout=0.2)
    forever.set()

    assert looked.is_overdue
    assert looked.seconds < 3
    assert [each.outcome for each in looked.findings] == ["ok", "fail"]
    assert "more than 0.2 s" in looked.findings[1].found


def test_what_is_expected_tells_its_own_mend(tmp_path: Path) -> None:
    def refuses(of: Deployment) -> Iterator[Finding]:
        yield warn("first", str(of.now), "nothing")
        raise AnalyticsError("the door is shut; open it")

    finding = found_by(refuses, deployment(tmp_path))[1]
    assert (finding.outcome, finding.found, finding.mend) == ("fail", "the door is shut", "open it")
    assert told_by("a", ValueError("no mend"), mend="another").mend == "another"


def test_a_secret_is_shown_nowhere_whoever_put_it_there(tmp_path: Path) -> None:
    of = deployment(
        tmp_path,
        slack_token="xoxb-very-secret",
        rbac_source="postgresql+psycopg://reader:pass%2Fword@host/name",
        collector_webhooks=[{"write_key": "wk_secret", "secret": "signing-secret"}],
    )

    def blabs(deployment: Deployment) -> Iterator[Finding]:
        yield warn("xoxb-very-secret", "wk_secret with signing-secret", "use pass%2Fword")
        raise ValueError("http://user:anything@proxy and postgresql+psycopg://reader:pass%2Fword@host/name")

    shown = str(found_by(blabs, of))
    assert not any(part in shown for part in ("xoxb", "wk_secret", "signing", "pass%2F", "anything"))
    assert "[hidden]@proxy" in shown


def test_where_settings_do_not_load_that_is_told_and_the_rest_is_skipped() -> None:
    def broken() -> Settings:
        raise SettingsError("slack_api_url: String should match pattern '^https?://'; set ANALYTICS_SLACK_API_URL")

    of = Deployment(read=broken)
    looked = examine(of, list(chosen(["warehouse"], of)), timeout=5)

    assert [each.probe for each in looked] == ["settings", "warehouse"]
    (finding,) = looked[0].findings
    assert (finding.outcome, finding.mend) == ("fail", "set ANALYTICS_SLACK_API_URL")
    assert [each.outcome for each in looked[1].findings] == ["skipped"]
    with pytest.raises(CannotLookError):
        _ = of.settings


def test_probes_are_run_in_their_order_whatever_order_they_are_asked_for(tmp_path: Path) -> None:
    of = deployment(tmp_path)
    assert [each.name for each in chosen(["rbac", "clock"], of)] == ["clock", "rbac"]
    assert list(chosen([], of)) == list(PROBES)
    assert len({each.name for each in PROBES}) == len(PROBES)


def test_the_page_tells_of_every_probe_in_their_order() -> None:
    page = (PROJECT_ROOT / "docs" / "doctor.md").read_text()
    table = page.partition("## Probes")[2].partition("## ")[0]
    assert re.findall(r"^\| `([a-z]+)` \|", table, flags=re.MULTILINE) == [each.name for each in PROBES]
