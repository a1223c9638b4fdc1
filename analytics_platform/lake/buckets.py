"""How a bucket is reached: what a deployment chooses of it, without any client of a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class S3Options:
    """How a bucket is reached; the defaults are those of AWS.

    Attributes:
        endpoint: address of another store than AWS.
        region: of the bucket; None where the environment says it.
        path_style: the bucket in the path instead of the host name, as most other stores want it.
        encryption: server-side encryption that is asked for with each put; `none` leaves it to the bucket's default.
        kms_key: the key of `aws:kms`; None is the account's own.
        has_object_lock: whether the bucket has Object Lock, which wants a digest with each put.
    """

    endpoint: str | None = None
    region: str | None = None
    path_style: bool = False
    encryption: Literal["none", "AES256", "aws:kms"] = "none"
    kms_key: str | None = None
    has_object_lock: bool = False
