"""`analytics completion`: what a shell has to source to complete verbs, options and choices."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from analytics_platform.cli.command import Command

_PROGRAM = "analytics"
_VARIABLE = "_ANALYTICS_COMPLETE"


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what a shell sources to complete this command: eval "$(analytics completion bash)".

    Examples:
        eval "$(analytics completion bash)"
        analytics completion fish
    """
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())
