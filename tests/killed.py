"""Running something in a child process that kills itself on the way, as the system would."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable


def is_killed(after: int, act: Callable[[Callable[[str], None]], object]) -> bool:
    """Act in a child that is killed before its `after`-th step; whether it was, or else came to its end.

    Locks and connections of this process are not the child's: `act` opens its own.
    """
    child = os.fork()
    if child == 0:
        left = [after]

        def step(_: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            act(step)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child must never go on as a second test run
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)
