"""Make the environment of BigQuery's emulator: `make bigquery-emulator`, or `python make_bigquery_emulator.py FOLDER`.

It is one of its own because the emulator wants Python 3.13 and a DuckDB that the project does not have. What is
installed stands in bigquery_emulator.txt with its hashes; it pins DuckDB below what the emulator asks for, the newest
for which the extensions that it loads are on the registry. Exits with 3 where there is no Python 3.13: what is to be
done about that, the machine's owner knows.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("bigquery_emulator.txt")
NO_PYTHON = 3


def main(folder: Path) -> int:
    """Make the environment in a folder, unless it is there already with just these requirements."""
    made = folder / "requirements.txt"
    if made.exists() and made.read_text() == REQUIREMENTS.read_text():
        return 0
    python = python_313()
    if python is None:
        sys.stderr.write("no Python 3.13 on PATH or among pyenv's versions; BigQuery's emulator needs one\n")
        return NO_PYTHON
    subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    installed = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*installed, "--require-hashes", "--no-deps", "-r", REQUIREMENTS], check=True)
    lay_extensions(folder)
    shutil.copyfile(REQUIREMENTS, made)
    return 0


def python_313() -> str | None:
    """A Python 3.13 that runs: a shim of pyenv's may be on PATH without one behind it.

    Looked for on PATH, among pyenv's versions, and beside the Python that runs this, wherever that lies.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = shutil.which("python3.13")
    beside = [
        each for place in (pyenv, Path(sys.base_prefix).parent) for each in sorted(place.glob("3.13*/bin/python3.13"))
    ]
    candidates = [*([found] if found else []), *map(str, beside)]
    for candidate in candidates:
        done = subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False)
        if done.returncode == 0:
            return candidate
    return None


def lay_extensions(folder: Path) -> None:
    """Put DuckDB's extensions where it looks before it downloads: below the home that the emulator is started with."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    for packed in folder.glob("lib/python*/site-packages/duckdb_extension_*/extensions/*/*.duckdb_extension"):
        place = folder / "home" / ".duckdb" / "extensions" / packed.parent.name / f"{sys.platform}_{machine}"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(packed, place / packed.name)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
