"""Ctrl-C while a run is under way in this process.

Dagster ends the step, records the run as failed and returns, as after any failure. Who called would go on with the next
run; here it is made an interrupt again.
"""

from __future__ import annotations

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason


def raise_interrupt(result: dg.ExecuteInProcessResult) -> None:
    """Go on only after a run that nobody has interrupted.

    Raises:
        KeyboardInterrupt: somebody has.
    """
    ends = (event.event_specific_data for event in result.all_events if event.is_job_failure)
    reasons = {end.failure_reason for end in ends if isinstance(end, JobFailureData)}
    if RunFailureReason.UNEXPECTED_TERMINATION in reasons:
        raise KeyboardInterrupt
