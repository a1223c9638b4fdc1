"""What is examined: a deployment, of which each part is read once, when the first probe asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import SecretStr

from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import Settings, SettingsError

if TYPE_CHECKING:
    from analytics_platform.catalog import Catalog

_HIDDEN = "[hidden]"
_SHORTEST = 4
"""A secret of fewer characters would be found in half of all words."""

_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]*:[^/\s@]*(?=@)")
"""User and password in an address."""


class CannotLookError(AnalyticsError):
    """A probe needs a part of the deployment that another probe has found broken."""


@dataclass
class Deployment:
    """A deployment.

    Attributes:
        is_thorough: whether to look also at what takes long.
        read: gives its settings; those that the environment describes.
    """

    is_thorough: bool = False
    read: Callable[[], Settings] = Settings.from_environment

    @property
    def now(self) -> datetime:
        """The time by this machine's clock."""
        return datetime.now(UTC)

    @cached_property
    def settings(self) -> Settings:
        """What it has chosen.

        Raises:
            CannotLookError: they do not load.
        """
        if isinstance(self._settings, Settings):
            return self._settings
        raise CannotLookError("the settings do not load")

    @property
    def settings_problem(self) -> SettingsError | None:
        """Why the settings do not load; None where they do."""
        return self._settings if isinstance(self._settings, SettingsError) else None

    @cached_property
    def catalog(self) -> Catalog:
        """What is declared.

        Raises:
            CannotLookError: it does not load.
        """
        from analytics_platform.catalog import CatalogError, load_catalog

        try:
            return load_catalog(self.settings.tenants_file, self.settings.extension_catalog)
        except (CatalogError, OSError) as error:
            raise CannotLookError("the catalogue does not load") from error

    @property
    def is_made(self) -> bool:
        """Whether anything has ever been run in the home."""
        return self.settings.home.is_dir()

    @property
    def serves_people(self) -> bool:
        """Whether what is missing here is missing to somebody: in staging and in production."""
        return self.settings.environment in {"staging", "production"}

    def without_secrets(self, text: str) -> str:
        """A text as it may be shown, whatever a library has put into it."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return _IN_ADDRESS.sub(_HIDDEN, text)

    @cached_property
    def _settings(self) -> Settings | SettingsError:
        try:
            return self.read()
        except SettingsError as error:
            return error

    @cached_property
    def _secrets(self) -> list[str]:
        """Longest first, so that no rest of one stays."""
        if self.settings_problem is not None:
            return []
        return sorted(set(_secrets_of(self.settings)), key=len, reverse=True)


def standing_folder(folder: Path) -> Path:
    """The folder itself, or the nearest above it that is there: on the disk that it will be on."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def _secrets_of(settings: Settings) -> Iterator[str]:
    held = [getattr(settings, name) for name in type(settings).model_fields]
    held += [part for webhook in settings.collector_webhooks for part in (webhook.secret, webhook.write_key)]
    for secret in held:
        if isinstance(secret, SecretStr):
            text = secret.get_secret_value()
            yield from (part for part in (text, urlsplit(text).password or "") if len(part) >= _SHORTEST)
