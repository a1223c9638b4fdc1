"""Every command of the command line, as its own help says it."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

import click

from analytics_platform.cli import main
from docs_site.markdown import code, page, table


def commands_page() -> str:
    """The page of all commands."""
    lede = (
        "Each command says the same with `--help`. Exit code 1 is an expected failure, in one line; 2 is wrong usage."
    )
    return page(
        "Commands", lede, *(_section(context) for context in _leaves(click.Context(main, info_name="analytics")))
    )


def _leaves(context: click.Context) -> Iterator[click.Context]:
    command = context.command
    if not isinstance(command, click.Group):
        yield context
        return
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            yield from _leaves(click.Context(found, info_name=name, parent=context))


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    help_text = cleandoc(command.help or "").replace("\b\n", "")
    options = table(["option", ""], (_option(context, each) for each in command.get_params(context)))
    return f"## {context.command_path}\n\n```text\n{usage}\n```\n\n{help_text}\n\n{options}"


def _option(context: click.Context, parameter: click.Parameter) -> tuple[str, str]:
    record = parameter.get_help_record(context)
    if record is None:
        return code(parameter.human_readable_name), "required" if parameter.required else "may be left out"
    return code(record[0]), record[1]
