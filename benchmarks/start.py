"""What starting costs: `python -m benchmarks.start [--home FOLDER | --empty]`. Medians of CPU seconds, fresh processes.

`analytics --help` beside bare Python; loading the code location beside importing the libraries that it stands on. With
the home of a finished `make demo`, also `analytics up` until Dagster's page and the portal answer, in wall time, and
until the first figure is read from the warehouse. With `--empty`, what `make run` does in an environment that is there:
`analytics demo` in a home with nothing in it until the first page can be opened and until its end, then `analytics up`.
"""

from __future__ import annotations

import argparse
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from analytics_platform.settings import PREFIX, child_environment
from benchmarks.measuring import held

MAX_HELP_SECONDS = 0.3
MAX_LOAD_RATIO = 1.5
_HELP = ["-m", "analytics_platform.cli", "--help"]
_IMPORTS = ["-c", "import analytics_platform.definitions"]
_LOAD = [
    "-c",
    "from analytics_platform.definitions import build_definitions\n"
    "from analytics_platform.settings import Settings\n"
    "build_definitions(Settings()).get_repository_def().load_all_definitions()",
]
_ANNOUNCED = "Stop with Ctrl-C"
_START_SECONDS = 300
_FIRST_PAGE = Path("lake", "dashboards", "index.html")


def cpu_seconds(arguments: Sequence[str]) -> float:
    """User and system time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interleaved(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Medians of commands that take turns, so that what else the machine does falls on all; compiled once before."""
    for arguments in commands.values():
        cpu_seconds(arguments)
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, arguments in commands.items():
            taken[name].append(cpu_seconds(arguments))
    return {name: statistics.median(each) for name, each in taken.items()}


def until_served(home: Path) -> tuple[float, float]:
    """Wall seconds of `analytics up` until everything answers, and of reading a first figure beside it."""
    ports = [_free_port() for _ in range(3)]
    options = ["--port", str(ports[0]), "--collector-port", str(ports[1]), "--portal-port", str(ports[2])]
    environment = child_environment({f"{PREFIX}HOME": str(home)})
    started = time.perf_counter()
    up = subprocess.Popen(
        [sys.executable, "-u", "-m", "analytics_platform.cli", "up", *options],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert up.stdout is not None
        for line in up.stdout:
            if _ANNOUNCED in line:
                break
        else:
            raise SystemExit("analytics up has ended by itself")
        served = time.perf_counter() - started
        asked = time.perf_counter()
        query = "select sum(mrr_reporting_minor) from kpi.kpi_mrr where day = (select max(day) from kpi.kpi_mrr)"
        command = [sys.executable, "-m", "analytics_platform.cli", "sql", query]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        return served, time.perf_counter() - asked
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(_START_SECONDS)


def from_nothing() -> None:
    """Print when an empty home has its first page, when all of it is built, and when it is served."""
    with TemporaryDirectory(prefix="analytics-bench-") as folder:
        home = Path(folder, "home")
        page = home / _FIRST_PAGE
        environment = child_environment({f"{PREFIX}HOME": str(home)})
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "analytics_platform.cli", "demo"]
        demo = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        while demo.poll() is None and not page.exists():
            time.sleep(0.2)
        first = time.perf_counter() - started
        if demo.wait() != 0:
            raise SystemExit("analytics demo has failed")
        after, built = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - started
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"analytics demo        {built:7.1f} s wall, {cpu:.1f} s CPU; its first page after {first:.1f} s wall")
        served, figure = until_served(home)
        print(f"then analytics up     {served:7.1f} s wall until all up; the first figure {figure:.1f} s later")
        print(f"make run to a figure  {built + served + figure:7.1f} s wall")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(rounds: int, home: Path | None, *, is_empty: bool) -> int:
    """Print; exit code 1 where a bound does not hold."""
    commands = {"python": ["-c", "pass"], "help": _HELP, "imports": _IMPORTS, "load": _LOAD}
    taken = interleaved(commands, rounds)
    print(f"python -c pass        {taken['python']:7.3f} s CPU")
    print(f"imports of the graph  {taken['imports']:7.2f} s CPU")
    print(f"code location loaded  {taken['load']:7.2f} s CPU")
    bars = [
        held("analytics --help, s CPU", taken["help"], MAX_HELP_SECONDS),
        held("code location loaded, times its imports", taken["load"] / taken["imports"], MAX_LOAD_RATIO),
    ]
    if home is not None:
        served, figure = until_served(home)
        print(f"analytics up, all up  {served:7.1f} s wall; the first figure {figure:.1f} s later")
    if is_empty:
        from_nothing()
    return 0 if all(bars) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--home", type=Path, help="the home of a finished demo, to serve it")
    parser.add_argument(
        "--empty", action="store_true", help="build and serve a demo in an empty home, which takes minutes"
    )
    given = parser.parse_args()
    sys.exit(main(given.rounds, given.home, is_empty=given.empty))
