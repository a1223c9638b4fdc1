"""What holds for each command of the tree: help with examples that parse, JSON where it tells something, one end."""

from __future__ import annotations

import errno
import json
import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pyarrow as pa
import pytest
from click.testing import CliRunner

from analytics_platform.cli import common, main
from analytics_platform.cli.command import Command, Group, Main
from analytics_platform.cli.common import as_json, near, progress_bar
from analytics_platform.errors import AnalyticsError
from analytics_platform.warehouse import DuckDBWarehouse

WITHOUT_JSON = {
    "up": "it serves until it is stopped",
    "collector": "it serves until it is stopped; its logs are JSON lines",
    "portal": "it serves until it is stopped; its logs are JSON lines",
    "completion": "a shell sources it",
    "connectors example": "a file is made of it",
    "taxonomy page": "it writes a page",
    "taxonomy compile": "it is JSON already",
}
ANALYTICS = [sys.executable, "-m", "analytics_platform.cli"]


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """All that can be called, by what is typed after `analytics`."""
    if not isinstance(command, click.Group) or command.invoke_without_command:
        yield " ".join(path), command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from leaves(each, (*path, name))


LEAVES = dict(leaves(main))


@pytest.mark.parametrize("path", LEAVES)
def test_its_help_says_what_it_does_and_ends_with_examples(path: str) -> None:
    done = CliRunner().invoke(main, [*path.split(), "--help"])
    assert done.exit_code == 0
    head, _, examples = done.output.partition("\nExamples:\n")
    assert len(head.split("\n\n")[1]) > 20
    assert examples.strip()


@pytest.mark.parametrize("path", LEAVES)
def test_its_examples_are_commands_of_its_own_that_parse(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = LEAVES[path]
    assert isinstance(command, Command | Group)
    # What a path or a tenant is of there is only known where it is typed.
    monkeypatch.setattr(click.Path, "convert", lambda _, value, *__: value)
    for example in command.examples:
        words = shlex.split(example.partition(" > ")[0].removeprefix('eval "$(').removesuffix(')"'))
        assert words[: 1 + len(path.split())] == ["analytics", *path.split()], example
        command.make_context(path, words[1 + len(path.split()) :])


@pytest.mark.parametrize("path", LEAVES)
def test_what_tells_something_tells_it_as_json_too(path: str) -> None:
    has_json = any("--json" in each.opts for each in LEAVES[path].params)
    assert has_json is (path not in WITHOUT_JSON)


def test_options_of_one_meaning_have_one_name() -> None:
    named = {(path, each.opts[0]) for path, command in LEAVES.items() for each in command.params}
    days = {each for each in named if isinstance(_parameter(*each).type, common.Day)}
    assert {option for _, option in days} == {"--from", "--to", "--as-of", "--until", "--since"}
    tenants = {path for path, option in named if option == "--tenant"}
    free = {path for path in tenants if not isinstance(_parameter(path, "--tenant").type, common.Tenant)}
    assert free == {"init", "erase request"}, "a tenant that is begun, and one that may be gone"


def _parameter(path: str, option: str) -> click.Parameter:
    return next(each for each in LEAVES[path].params if option in each.opts)


def test_every_command_stands_in_a_section_in_the_order_of_use() -> None:
    placed = [str(each.name) for commands in main.sections.values() for each in commands]
    assert sorted(placed) == sorted(main.commands)
    told = CliRunner().invoke(main, ["--help"]).output
    assert told.index("Begin:") < told.index("  init ") < told.index("Figures out:") < told.index("Upkeep:")


def test_a_command_in_no_section_is_told_too() -> None:
    root = Main(name="analytics")
    root.add_command(Command("stray", help="Stands alone."))
    assert "Others:\n  stray  Stands alone." in CliRunner().invoke(root, ["--help"]).output


def test_a_name_that_is_nearly_one_is_suggested() -> None:
    assert "Did you mean 'run'?" in CliRunner().invoke(main, ["runn"]).output
    assert "Did you mean '--tenant'?" in CliRunner().invoke(main, ["import", ".", "--tenat", "x"]).output
    assert near("finanse", "dashboards", ["growth", "finance"]) == (
        "did you mean finance? known dashboards are growth, finance"
    )
    assert near("zzz", "dashboards", []) == "known dashboards are none"


def test_a_tenant_that_is_none_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    for words in (
        ["keys", "list", "--tenant"],
        ["import", str(tmp_path), "--tenant"],
        ["dead-letters", "list", "--tenant"],
    ):
        done = CliRunner().invoke(main, ["--home", str(tmp_path / "home"), *words, "delta-event"])
        assert done.exit_code == 1
        assert done.stderr.startswith(
            "Error: --tenant: 'delta-event' is no registered tenant; did you mean delta-events?"
        )
        assert done.stdout == ""


def failing_with(error: BaseException) -> Main:
    """A tree with one verb, which ends so."""

    @click.command(cls=Command)
    @as_json
    def verb(as_json: bool) -> None:
        """Fail."""
        raise error

    root = Main(name="analytics")
    root.add_section("All", verb)
    return root


FULL = OSError(errno.ENOSPC, "No space left on device", "/srv/lake/x")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            AnalyticsError("lake_url: there is no bucket; name one"),
            1,
            "Error: lake_url: there is no bucket; name one\n",
        ),
        (FULL, 1, "Error: /srv/lake/x: No space left on device; make room there, or let ANALYTICS_HOME name"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/srv"),
            1,
            "Error: /srv: Permission denied; give this user",
        ),
        (ConnectionResetError("the other side hung up"), 1, "Error: the other side hung up; `analytics doctor` says"),
        (KeyboardInterrupt(), 130, "\nInterrupted; the same command takes it up again\n"),
        (click.UsageError("give one"), 2, "Error: give one\n"),
    ],
)
def test_whatever_its_reader_can_mend_is_one_line(error: BaseException, code: int, said: str) -> None:
    done = CliRunner().invoke(failing_with(error), ["verb"])
    assert done.exit_code == code
    assert said in done.stderr
    assert done.stdout == ""


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    done = CliRunner().invoke(failing_with(KeyError("x")), ["verb"])
    assert isinstance(done.exception, KeyError)


def test_a_failure_is_json_for_who_asked_for_json() -> None:
    done = CliRunner().invoke(failing_with(FULL), ["verb", "--json"])
    assert json.loads(done.stdout) == {
        "error": "OSError",
        "what": "/srv/lake/x: No space left on device",
        "mend": "make room there, or let ANALYTICS_HOME name a folder on another disk",
    }
    assert done.stderr.startswith("Error: /srv/lake/x: No space left")


@pytest.mark.parametrize("no_colour", [True, False])
def test_a_failure_is_red_where_somebody_wants_colours(monkeypatch: pytest.MonkeyPatch, no_colour: bool) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    assert ("\x1b[31m" in CliRunner().invoke(failing_with(FULL), ["verb"]).stderr) is not no_colour


def test_home_names_a_deployment_for_one_command_and_leaves_the_environment(tmp_path: Path) -> None:
    before = dict(os.environ)
    done = CliRunner().invoke(main, ["--home", str(tmp_path / "a"), "init", "--yes", "--json"])
    assert json.loads(done.stdout)["settings_file"] == str(tmp_path / "a" / "settings.yaml")
    assert dict(os.environ) == before


def test_progress_in_a_log_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 10.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with progress_bar("Importing", quiet=False) as progress:
        for done in (100, 500, 600):
            progress(done, 1000)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Importing: 50 %\n")


def test_a_script_that_reads_json_gets_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Importing", quiet=True) as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.integration
def test_help_answers_at_once_because_it_imports_no_room() -> None:
    script = "import sys, analytics_platform.cli; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    heavy = {"dagster", "dbt", "duckdb", "pyarrow", "polars", "pydantic", "pandas", "great_expectations", "rich"}
    assert heavy & set(done.stdout.split()) == set()


@pytest.mark.integration
def test_a_terminal_gets_a_bar_and_no_pipe_does() -> None:
    script = (
        "from analytics_platform.cli.common import progress_bar\nwith progress_bar('Importing', False) as p: p(1, 2)\n"
    )
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    done = subprocess.run(
        [sys.executable, "-c", script], stderr=theirs, stdout=subprocess.PIPE, env=environment, check=True
    )
    os.close(theirs)
    assert "Importing" in os.read(ours, 10_000).decode()
    assert done.stdout == b""


@pytest.mark.integration
def test_who_stops_reading_ends_it_without_a_word(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*ANALYTICS, "--home", str(tmp_path), "keys", "list"], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stderr) == (141, b"")


MANY_ROWS = ["sql", "select * from range(1000000)", "--format", "csv"]


@pytest.mark.integration
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_who_stops_reading_in_the_middle_ends_it_as_well(tmp_path: Path, unbuffered: str) -> None:
    home = ["--home", str(tmp_path)]
    DuckDBWarehouse(tmp_path / "warehouse.duckdb").replace_table("ops.one", pa.table({"n": [1]}))
    running = subprocess.Popen(
        [*ANALYTICS, *home, *MANY_ROWS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"range\n"
    running.stdout.close()
    assert running.stderr is not None
    assert running.stderr.read() == b""
    assert running.wait(60) == 141


@pytest.mark.integration
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_answer_that_does_not_fit_has_failed(tmp_path: Path, unbuffered: str) -> None:
    DuckDBWarehouse(tmp_path / "warehouse.duckdb").replace_table("ops.one", pa.table({"n": [1]}))
    with (tmp_path / "answer.csv").open("wb") as answer:
        done = subprocess.run(
            [*ANALYTICS, "--home", str(tmp_path), *MANY_ROWS],
            stdout=answer,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20)),
            check=False,
        )
    assert done.returncode == 1
    assert b"File too large" in done.stderr


@pytest.mark.integration
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_is_one_line_and_code_130(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*ANALYTICS, "--home", str(tmp_path), "portal", "users", "add", "ann", "--password-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _wait_until(lambda: b"pipe_r" in Path(f"/proc/{running.pid}/wchan").read_bytes())
    running.send_signal(signal.SIGINT)
    out, said = running.communicate(timeout=30)
    assert (running.returncode, out, said) == (130, b"", b"\nInterrupted; the same command takes it up again\n")
    assert not (tmp_path / "portal" / "users.json").exists()


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
