"""The page about quality says what the code does."""

from pathlib import Path

import pytest

from analytics_platform.settings import Settings
from asset_checks.reference import BEGIN, END, PAGE, all_specs, check_table, page_with


def test_the_table_of_checks_is_the_one_that_the_checks_give(tmp_path: Path) -> None:
    page = PAGE.read_text()
    assert page == page_with(check_table(all_specs(Settings(home=tmp_path))), page), (
        "run `python -m asset_checks.reference`"
    )


def test_every_check_is_in_the_table_with_its_layer_and_dimension(tmp_path: Path) -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    names = {row.split("`")[1].removesuffix("*") for row in rows}
    specs = all_specs(Settings(home=tmp_path))
    assert [spec.name for spec in specs if not any(spec.name.startswith(name) for name in names)] == []


def test_a_page_without_a_place_for_the_table_says_so() -> None:
    assert page_with("new\n", f"a\n{BEGIN}old\n{END}b\n") == f"a\n{BEGIN}new\n{END}b\n"
    with pytest.raises(ValueError, match="has no place for the table"):
        page_with("new\n", "nothing")
