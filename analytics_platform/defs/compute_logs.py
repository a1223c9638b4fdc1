"""What steps print, kept in the lake's bucket of S3.

Dagster's own manager knows neither path-style addresses nor the choices of the lake for encryption and checksums, so it
gets the lake's client. Stays out: Google's buckets, for which Dagster's own is good as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from dagster import Field, StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._serdes import ConfigurableClassData
from dagster_aws.s3 import S3ComputeLogManager

from analytics_platform.lake.buckets import S3Options
from analytics_platform.lake.s3 import put_options, s3_client


class LakeS3ComputeLogManager(S3ComputeLogManager):
    """Logs of steps in a bucket that is reached as the lake is."""

    def __init__(self, *, options: S3Options, **others: Any) -> None:
        super().__init__(
            **others, endpoint_url=options.endpoint, region=options.region, upload_extra_args=put_options(options)
        )
        self._s3_session = s3_client(options)

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Dagster's own fields, and the lake's."""
        return {
            **S3ComputeLogManager.config_type(),  # type: ignore[no-untyped-call]
            "path_style": Field(bool, is_required=False, default_value=False),
            "encryption": Field(StringSource, is_required=False, default_value="none"),
            "kms_key": Field(StringSource, is_required=False),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Build from dagster.yaml."""
        others = dict(config_value)
        options = S3Options(
            others.pop("endpoint_url", None),
            others.pop("region", None),
            others.pop("path_style"),
            others.pop("encryption"),
            others.pop("kms_key", None),
        )
        return cls(inst_data=inst_data, options=options, **others)
