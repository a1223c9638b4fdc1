"""Runs probes, each for a bounded time, and puts together what they found."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from analytics_platform.doctor.deployment import CannotLookError, Deployment
from analytics_platform.doctor.findings import Finding, Outcome, fail, skipped, told_by
from analytics_platform.doctor.probes import PROBES, SETTINGS, Probe
from analytics_platform.errors import AnalyticsError

_OVERDUE = "it went on for more than {:g} s and was left alone"
_MEND_OVERDUE = "see that what it names can be reached from here, or give it longer with --timeout"
_MEND_BROKEN = "report this with the output of `analytics doctor --only {} --json`; the probe itself is at fault"


@dataclass(frozen=True)
class Looked:
    """What a probe found.

    Attributes:
        probe: its name.
        seconds: how long it took.
        findings: in the order in which they were made.
        is_overdue: whether it was left alone, still at work.
    """

    probe: str
    seconds: float
    findings: tuple[Finding, ...]
    is_overdue: bool = False


@dataclass
class _Work:
    """A probe at work in a thread of its own."""

    probe: Probe
    deployment: Deployment
    findings: list[Finding] = field(default_factory=list)

    def run(self) -> None:
        """Gather findings one by one: what was found before a probe breaks stays found."""
        try:
            for finding in self.probe.look(self.deployment):
                self.findings.append(finding)
        except CannotLookError as error:
            self.findings.append(skipped(self.probe.about, str(error)))
        except AnalyticsError as error:
            self.findings.append(told_by(self.probe.about, error, mend=_MEND_BROKEN.format(self.probe.name)))
        except Exception as error:  # noqa: BLE001 - whatever breaks a probe is what it has found
            text = f"{type(error).__name__}: {error}"
            self.findings.append(fail(self.probe.about, text, _MEND_BROKEN.format(self.probe.name)))


def chosen(names: Sequence[str], deployment: Deployment) -> Iterator[Probe]:
    """The probes that were asked for, all where none were; settings that do not load are told in any case."""
    for probe in PROBES:
        is_wanted = not names or probe.name in names
        if is_wanted or (probe is SETTINGS and deployment.settings_problem is not None):
            yield probe


def examine(
    deployment: Deployment, probes: Sequence[Probe], *, timeout: float, tell: Callable[[Looked], None] | None = None
) -> list[Looked]:
    """Run probes one after the other.

    Args:
        deployment: what is examined.
        probes: which.
        timeout: seconds after which a probe is left alone.
        tell: called with what each has found, as soon as it has.
    """
    looked = []
    for probe in probes:
        found = _looked(probe, deployment, timeout)
        looked.append(found)
        if tell:
            tell(found)
    return looked


def outcomes(looked: Sequence[Looked]) -> Counter[Outcome]:
    """How many findings there are of each outcome."""
    return Counter(finding.outcome for each in looked for finding in each.findings)


def _looked(probe: Probe, deployment: Deployment, timeout: float) -> Looked:
    work = _Work(probe, deployment)
    # A thread that waits for a dead host ends with the process.
    thread = threading.Thread(target=work.run, name=f"doctor {probe.name}", daemon=True)
    start = time.monotonic()
    thread.start()
    thread.join(timeout)
    is_overdue = thread.is_alive()
    findings = list(work.findings)
    if is_overdue:
        findings.append(fail(probe.about, _OVERDUE.format(timeout), _MEND_OVERDUE))
    shown = tuple(_shown(finding, deployment) for finding in findings)
    return Looked(probe.name, time.monotonic() - start, shown, is_overdue)


def _shown(finding: Finding, deployment: Deployment) -> Finding:
    clean = deployment.without_secrets
    mend = None if finding.mend is None else clean(finding.mend)
    return replace(finding, looked_at=clean(finding.looked_at), found=clean(finding.found), mend=mend)
