"""What every command is: help that ends with examples, groups in the order of use, and one way to end.

Belongs here: the classes that all commands are made of, and what becomes of a failure, an interrupt or a pipe that
nobody reads any more. Stays out: options, progress and answers (`common`, `answers`).
"""

from __future__ import annotations

import errno
import io
import json
import os
import select
import sys
from collections.abc import Mapping, Sequence
from inspect import cleandoc
from typing import Any

import click

from analytics_platform.errors import AnalyticsError

INTERRUPTED, NOBODY_READS = 130, 141
"""Exit codes, as shells give them for SIGINT and SIGPIPE; 1 is a failure or an answer of no, 2 wrong usage."""

JSON_ASKED = "analytics.json"
"""In a context's `meta`, where the answer is to be JSON."""

_EXAMPLES = "\nExamples:\n"
_MENDS: Mapping[int, str] = {
    errno.ENOSPC: "make room there, or let ANALYTICS_HOME name a folder on another disk",
    errno.EDQUOT: "make room there, or let ANALYTICS_HOME name a folder on another disk",
    errno.EACCES: "give this user the right to it, or name another place",
    errno.EPERM: "give this user the right to it, or name another place",
    errno.EROFS: "let ANALYTICS_HOME name a folder that can be written",
    errno.EADDRINUSE: "choose another port",
    errno.ENOENT: "look whether it is there, and whether its name is right",
    errno.ENOTDIR: "name a folder",
    errno.EISDIR: "name a file",
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
}
_ANY_MEND = "`analytics doctor` says whether this deployment can be used"


class _Explained(click.Command):
    """A command whose help ends with the lines that stand below `Examples:` in its docstring."""

    def __init__(self, *args: Any, **others: Any) -> None:
        text, _, examples = cleandoc(others.get("help") or "").partition(_EXAMPLES)
        super().__init__(*args, **{**others, "help": text.rstrip() or None})
        self.examples = tuple(line.strip() for line in examples.splitlines() if line.strip())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, each as it is typed."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Command(_Explained):
    """A verb."""


class Group(_Explained, click.Group):
    """Verbs of one subject, told in the order in which they are declared, which is that of their use."""

    command_class = Command
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each verb with the whole first sentence of its help."""
        _write_commands(formatter, "Commands", list(self.commands.values()))


class Main(Group):
    """The root: its commands stand in sections, and whatever ends one of them ends here."""

    def __init__(self, *args: Any, **others: Any) -> None:
        super().__init__(*args, **others)
        self.sections: dict[str, tuple[click.Command, ...]] = {}

    def main(self, *args: Any, **others: Any) -> Any:
        """Run the command line of this process."""
        _write_all_or_fail()
        return super().main(*args, **others)

    def add_section(self, title: str, *commands: click.Command) -> None:
        """Add commands that people use for one purpose."""
        self.sections[title] = commands
        for command in commands:
            self.add_command(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section; those that are in none stand below."""
        placed = {command.name for commands in self.sections.values() for command in commands}
        others = tuple(command for name, command in self.commands.items() if name not in placed)
        for title, commands in {**self.sections, "Others": others}.items():
            if commands:
                _write_commands(formatter, title, commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what its reader can mend is one message, and no traceback."""
        try:
            return super().invoke(ctx)
        except AnalyticsError as error:
            _end_failed(ctx, error, str(error))
        except OSError as error:
            if isinstance(error, BrokenPipeError) and _nobody_reads():
                raise SystemExit(NOBODY_READS) from error
            _end_failed(ctx, error, explained(error))
        except (click.Abort, KeyboardInterrupt) as error:
            if isinstance(error, click.Abort) and not isinstance(error.__context__, KeyboardInterrupt):
                _end_failed(ctx, error, "nobody agreed; give --yes to agree beforehand")
            # What the same command would begin anew has noted what takes it up.
            again = "; ".join(getattr(error, "__notes__", ["the same command takes it up again"]))
            click.echo(f"\nInterrupted; {again}", err=True)
            raise SystemExit(INTERRUPTED) from error


def _write_all_or_fail() -> None:
    """Put a buffer before an unbuffered standard output (`PYTHONUNBUFFERED`).

    Without one, Python tries one write and takes whatever part of it went through for all of it.
    """
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=sys.stdout.encoding, errors=sys.stdout.errors, line_buffering=True
        )


def explained(error: OSError) -> str:
    """One line for what the system refuses: what, of which file, and the mend."""
    what = error.strerror or str(error) or type(error).__name__
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{what}; {_MENDS.get(error.errno or 0, _ANY_MEND)}"


def _write_commands(formatter: click.HelpFormatter, title: str, commands: Sequence[click.Command]) -> None:
    with formatter.section(title):
        formatter.write_dl(
            [(str(command.name), (command.help or "").split("\n\n")[0].replace("\n", " ")) for command in commands]
        )


def _end_failed(context: click.Context, error: BaseException, text: str) -> None:
    """Say what failed on standard error, for scripts on standard output too, and end with 1."""
    from rich.console import Console
    from rich.text import Text

    if context.meta.get(JSON_ASKED):
        what, is_told, mend = text.rpartition("; ")
        told = {"error": type(error).__name__, "what": what if is_told else mend, "mend": mend if is_told else None}
        click.echo(json.dumps(told, indent=2))
    # It sees by itself whether there is a terminal, and whether somebody has set NO_COLOR.
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(Text("Error: ", style="red").append(text, style="default"))
    raise SystemExit(1) from error


def _nobody_reads() -> bool:
    """Whether standard output is a pipe that was closed by who read it; nothing more is written there then."""
    try:
        out = sys.stdout.fileno()
    except OSError:
        return False
    looker = select.poll()
    looker.register(out, 0)
    is_closed = any(event & select.POLLERR for _, event in looker.poll(0))
    if is_closed:
        # Python would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out)
    return is_closed
