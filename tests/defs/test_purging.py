"""How long a receipt says that deleted rows are kept: never shorter than the warehouse's product keeps them."""

import pytest

from analytics_platform.defs.erasure import purging_of
from analytics_platform.settings import Settings


@pytest.mark.parametrize(
    ("warehouse", "said", "days"),
    [
        ("duckdb", 0, 0),  # its file is made anew
        ("snowflake", 0, 0),  # transient tables without time travel
        ("snowflake", 1, 1),
        ("bigquery", 0, 14),  # nobody said it, so it is BigQuery's own
        ("bigquery", 3, 9),  # less than it can be
        ("bigquery", 12, 12),
    ],
)
def test_deleted_rows_are_gone_when_the_product_has_let_go_of_them(warehouse: str, said: int, days: int) -> None:
    settings = Settings.model_construct(warehouse=warehouse, deleted_rows_kept_days=said, deleted_objects_kept_days=30)  # type: ignore[arg-type]
    assert purging_of(settings).of("warehouse") == days
    assert purging_of(settings).of("landing") == 30
