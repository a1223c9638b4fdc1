"""docs/extending.md quotes the example as it is."""

from __future__ import annotations

import re

import pytest
from example_home import EXAMPLE

from analytics_platform.settings import PROJECT_ROOT

GUIDE = (PROJECT_ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^`([\w./]+)`:\n```(?:yaml|sql)\n(.*?)\n```$", GUIDE, re.DOTALL | re.MULTILINE)


def test_the_guide_shows_a_file_of_each_part() -> None:
    assert {file.partition("/")[0] for file, _ in QUOTED} == {"catalog", "dbt", "expectations"}


@pytest.mark.parametrize(("file", "text"), QUOTED, ids=[file for file, _ in QUOTED])
def test_what_is_quoted_stands_in_the_file(file: str, text: str) -> None:
    assert text in (EXAMPLE / file).read_text(encoding="utf-8")
