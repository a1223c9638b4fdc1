"""Builds the site: `python -m docs_site --zensical PROGRAM FOLDER`. A link that leads nowhere fails it."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from analytics_platform.catalog import load_catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.settings import PROJECT_ROOT, Settings
from docs_site.catalogue import events_page, kpis_page
from docs_site.commands import commands_page
from docs_site.graph import assets_page, checks_page, tables_page
from docs_site.settings_reference import settings_page

CONFIG = Path(__file__).with_name("zensical.toml")


def reference(settings: Settings) -> dict[str, str]:
    """The generated pages by their file name in `reference/`."""
    catalog, definitions = load_catalog(), build_definitions(settings)
    return {
        "commands.md": commands_page(),
        "settings.md": settings_page(),
        "events.md": events_page(catalog),
        "kpis.md": kpis_page(catalog),
        "assets.md": assets_page(definitions),
        "checks.md": checks_page(definitions),
        "tables.md": tables_page(settings),
    }


def build(zensical: Path, target: Path) -> None:
    """Write the site into a folder, in place of what is there.

    Args:
        zensical: the program that makes pages of Markdown.
        target: the folder.

    Raises:
        SystemExit: a page links to what is not there.
    """
    with TemporaryDirectory(prefix="analytics-docs-") as folder:
        work = Path(folder)
        shutil.copytree(PROJECT_ROOT / "docs", work / "docs")
        shutil.copy(CONFIG, work)
        (work / "docs" / "reference").mkdir()
        for name, text in reference(Settings(home=work / "home")).items():
            (work / "docs" / "reference" / name).write_text(text, encoding="utf-8")
        command = [str(zensical.resolve()), "build", "--strict", "--config-file", str(work / CONFIG.name)]
        done = subprocess.run(command, capture_output=True, text=True, env={"NO_COLOR": "1"})
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(work / "site", target)


def main() -> None:
    """The command line."""
    arguments = argparse.ArgumentParser(prog="docs_site", description=__doc__)
    arguments.add_argument("--zensical", type=Path, required=True)
    arguments.add_argument("folder", type=Path)
    asked = arguments.parse_args()
    build(asked.zensical, asked.folder)


if __name__ == "__main__":
    main()
