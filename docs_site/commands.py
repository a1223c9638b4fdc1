"""Every command of the command line, as its own help says it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from analytics_platform.cli import main
from analytics_platform.cli.command import Command, Group
from docs_site.markdown import code, page, table


def commands_page() -> str:
    """The page of all commands."""
    lede = (
        "Each command says the same with `--help`. What holds for all of them, exit codes among it, is in "
        "[the command line](../command-line.md)."
    )
    return page(
        "Commands", lede, *(_section(context) for context in _leaves(click.Context(main, info_name="analytics")))
    )


def _leaves(context: click.Context) -> Iterator[click.Context]:
    command = context.command
    if not isinstance(command, click.Group):
        yield context
        return
    if command.invoke_without_command:
        yield context
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            yield from _leaves(click.Context(found, info_name=name, parent=context))


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    options = table(["option", ""], (_option(context, each) for each in command.get_params(context)))
    examples = "\n".join(command.examples) if isinstance(command, Command | Group) else ""
    shown = f"\n\n```sh\n{examples}\n```" if examples else ""
    return f"## {context.command_path}\n\n```text\n{usage}\n```\n\n{command.help or ''}{shown}\n\n{options}"


def _option(context: click.Context, parameter: click.Parameter) -> tuple[str, str]:
    record = parameter.get_help_record(context)
    if record is None:
        return code(parameter.human_readable_name), "required" if parameter.required else "may be left out"
    return code(record[0]), record[1]
