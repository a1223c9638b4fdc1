"""Completion, by a real bash that sources what the command prints."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from analytics_platform.cli import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_own(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_ANALYTICS_COMPLETE={shell}_complete" in done.output


@pytest.mark.integration
def test_bash_completes_verbs_options_and_choices() -> None:
    source = CliRunner().invoke(main, ["completion", "bash"]).output
    asked = [["backf"], ["backfill", "--re"], ["sql", "--format", "j"]]
    script = source + "".join(
        f"COMPREPLY=(); COMP_WORDS=(analytics {' '.join(words)}); COMP_CWORD={len(words)}; "
        '_analytics_completion analytics; echo "${COMPREPLY[@]}"\n'
        for words in asked
    )
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env={"PATH": path})
    assert done.stdout.splitlines() == ["backfill", "--reason --resume", "json"]
