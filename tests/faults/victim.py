"""Lives of stages: for each line on standard input a process that runs one of them, disturbed, and is waited for.

Forking from a process that has imported everything and used nothing makes a life cost what its stage costs, and keeps
threads of libraries out of the children. A line is `{"stage", "home", "kind", "at", "seconds"}`; the answer says how
the life ended and how many points it passed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from disturbance import Disturbance
from stages import STAGES

REFUSED = 3
"""The stage said that it could not do its work."""


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _live(asked, writing)
        os.close(writing)
        with os.fdopen(reading) as told:
            said = told.read()
        _, status = os.waitpid(child, 0)
        answer = {"died": os.WIFSIGNALED(status), "code": os.waitstatus_to_exitcode(status), "said": said}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _live(asked: dict[str, Any], writing: int) -> None:
    """One stage, from beginning to end; never returns."""
    disturbance = Disturbance(asked["kind"], asked["at"], Path(asked["home"]))
    code, said = 0, ""
    try:
        if asked["seconds"] is not None:
            threading.Timer(asked["seconds"], os.kill, (os.getpid(), signal.SIGKILL)).start()
        disturbance.install()
        STAGES[asked["stage"]](Path(asked["home"]))
    except Exception:  # noqa: BLE001 - a child must never go on as a second parent
        code, said = REFUSED, traceback.format_exc()
    os._exit(_told(writing, code, disturbance.points, said))


def _told(writing: int, code: int, points: int, said: str) -> int:
    with os.fdopen(writing, "w") as told:
        told.write(json.dumps({"points": points, "error": said}))
    return code


if __name__ == "__main__":
    main()
