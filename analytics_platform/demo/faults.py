"""The mistakes that producers really make, as broken copies of good messages.

A copy has an id of its own and the good message is sent too: an app version that reports twice, once wrongly. So
dead letters have something to show, while the business figures lose nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from analytics_platform.demo.dice import Dice
from analytics_platform.demo.messages import Message

_COMMON = ("schema_version", "tenant_id", "project_id", "booking_value_minor", "booking_currency")


def broken_copy(message: Message, dice: Dice, *, is_release: bool) -> Message:
    """A copy that the plan refuses; `is_release`: the fault of one faulty release, else a random one."""
    mistake = _unknown_property if is_release else dice.choice(_MISTAKES)
    copy = {**message, "messageId": str(uuid.uuid5(uuid.UUID(int=dice.getrandbits(128)), "broken"))}
    copy["properties"] = dict(message["properties"])
    mistake(copy)
    return copy


def _unknown_property(copy: Message) -> None:
    copy["properties"]["battery_level"] = 87


def _missing_property(copy: Message) -> None:
    del copy["properties"][_first_own(copy)]


def _null_property(copy: Message) -> None:
    copy["properties"][_first_own(copy)] = None


def _text_for_number(copy: Message) -> None:
    copy["properties"]["schema_version"] = str(copy["properties"]["schema_version"])


def _time_without_offset(copy: Message) -> None:
    properties = copy["properties"]
    times = [name for name in properties if name.endswith("_at")]
    if not times:
        _missing_property(copy)
        return
    properties[times[0]] = properties[times[0]].removesuffix("+00:00")


def _display_name(copy: Message) -> None:
    copy["event"] = copy["event"].replace(".", " ").replace("_", " ").title()


def _first_own(copy: Message) -> str:
    own: list[str] = [name for name in copy["properties"] if name not in _COMMON]
    return own[0]


_MISTAKES: tuple[Callable[[Message], None], ...] = (
    _unknown_property,
    _missing_property,
    _null_property,
    _text_for_number,
    _time_without_offset,
    _display_name,
)
