"""How dbt reaches Snowflake: the variables that the output `snowflake` of profiles.yml reads.

Belongs here: from an account to variables. Stays out: running dbt (`dbt_build`), and the tag of each model, which
dbt's macro `set_query_tag` adds its name and days to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from analytics_platform.defs.dbt_build import DbtConnection
from analytics_platform.warehouse.snowflake import SnowflakeAccount
from analytics_platform.warehouse.work import Work

_PREFIX = "ANALYTICS_SNOWFLAKE_"
_SECRET_VARIABLE = "DBT_ENV_SECRET_SNOWFLAKE_PASSPHRASE"  # noqa: S105 - a name
"""dbt keeps the values of variables of this prefix out of its logs and out of its manifest."""


def snowflake_connection(account: SnowflakeAccount, work: Callable[[], Work]) -> DbtConnection:
    """Dbt on a database of Snowflake; its statements run in the warehouse of the workload at hand."""

    def at_work() -> Mapping[str, str]:
        now = work()
        return {f"{_PREFIX}WAREHOUSE": account.warehouses[now.workload], f"{_PREFIX}QUERY_TAG": now.tag}

    variables = _variables(account)
    return DbtConnection("snowflake", variables, variables, at_work=at_work)


def _variables(account: SnowflakeAccount) -> dict[str, str]:
    https = account.protocol == "https"
    said = {
        "ACCOUNT": account.account,
        "USER": account.user,
        "PRIVATE_KEY_FILE": str(account.private_key_file),
        "ROLE": account.role,
        "DATABASE": account.database,
        "WAREHOUSE": account.warehouses["nightly"],
        "HOST": account.host or f"{account.account}.snowflakecomputing.com",
        "PORT": str(account.port or (443 if https else 80)),
        "PROTOCOL": account.protocol,
    }
    return {**{f"{_PREFIX}{name}": value for name, value in said.items()}, _SECRET_VARIABLE: account.passphrase or ""}
