"""Users of the local login: a file beside the home's data with names, principals and hashes of passwords.

A user signs in under a name and is then the principal that the product's RBAC knows. Hashes are Argon2id's. Checking a
password takes the same work whether there is such a user or not.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import orjson
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from filelock import FileLock
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import Settings

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,119}")
_AT_ONCE = 2
"""Passwords that are checked at the same time: each takes 64 MB for a moment."""


class UserError(AnalyticsError):
    """Something cannot be done with a user; the text says which and the mend."""


class User(BaseModel):
    """Somebody who may sign in."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    principal: str = Field(min_length=1, max_length=320)
    password_hash: str
    changed_at: AwareDatetime


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    users: dict[str, User]


@dataclass(frozen=True)
class NewUser:
    """Somebody to add."""

    name: str
    principal: str
    password: str


class Users:
    """The users of a home.

    Args:
        path: their file; without one there is nobody.
        hasher: makes hashes; each hash says itself what checking it costs.
    """

    def __init__(self, path: Path, hasher: PasswordHasher | None = None) -> None:
        self._path = path
        self._hasher = hasher or PasswordHasher()
        self._checking = threading.BoundedSemaphore(_AT_ONCE)
        self._known: tuple[object, Mapping[str, User]] = (None, {})

    @property
    def exist(self) -> bool:
        """Whether anybody has ever been added."""
        return self._path.exists()

    def all(self) -> Mapping[str, User]:
        """Users by name, as the file has them now.

        Raises:
            UserError: the file cannot be read.
        """
        stamp = _stamp(self._path)
        if self._known[0] != stamp or stamp is None:
            self._known = (stamp, self._read())
        return self._known[1]

    def signed_in(self, name: str, password: str) -> User | None:
        """The user of a name and password; None where either is wrong, after the same work."""
        user = self.all().get(name)
        with self._checking:
            try:
                self._hasher.verify(user.password_hash if user else self._nobodys_hash, password[:LONGEST_PASSWORD])
            except (VerificationError, InvalidHashError):
                return None
        return user

    def add(self, *new: NewUser) -> None:
        """Add users, all or none.

        Raises:
            UserError: one cannot be added.
        """
        with self._locked():
            users = dict(self._read())
            for each in new:
                if _NAME.fullmatch(each.name) is None:
                    raise UserError(
                        f"{each.name!r} is no name of a user; use letters, digits and . _ @ + -, at most 120"
                    )
                if each.name in users:
                    raise UserError(f"{each.name} exists; `analytics portal users password {each.name}` sets a new one")
                users[each.name] = self._user(each.principal, each.password)
            self._write(users)

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password; sessions under the old one end."""
        with self._locked():
            users = dict(self._read())
            users[name] = self._user(_known(users, name).principal, password)
            self._write(users)

    def remove(self, name: str) -> None:
        """Remove a user; their sessions end."""
        with self._locked():
            users = dict(self._read())
            _known(users, name)
            del users[name]
            self._write(users)

    @cached_property
    def _nobodys_hash(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())

    def _user(self, principal: str, password: str) -> User:
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise UserError(f"the password has {len(password)} characters; take {SHORTEST_PASSWORD} or more")
        try:
            return User(principal=principal, password_hash=self._hasher.hash(password), changed_at=datetime.now(UTC))
        except ValidationError as error:
            raise UserError("the principal is empty or too long; give the id that the RBAC has") from error

    def _read(self) -> dict[str, User]:
        try:
            return _File.model_validate_json(self._path.read_bytes()).users
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise UserError(
                f"{self._path} cannot be read ({type(error).__name__}); restore it, or add users anew"
            ) from error

    def _write(self, users: Mapping[str, User]) -> None:
        told = {name: users[name].model_dump(mode="json") for name in sorted(users)}
        fresh = self._path.with_name(f".{self._path.name}")
        fresh.touch(mode=0o600)
        fresh.write_bytes(orjson.dumps({"users": told}, option=orjson.OPT_INDENT_2) + b"\n")
        fresh.replace(self._path)

    def _locked(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(self._path.with_name(f"{self._path.name}.lock"))


def users_of(settings: Settings) -> Users:
    """The users of a deployment."""
    return Users(settings.portal_root / "users.json")


def new_password() -> str:
    """A password that nobody guesses: 20 characters, about 120 bits."""
    return secrets.token_urlsafe(15)


def _known(users: Mapping[str, User], name: str) -> User:
    if name not in users:
        raise UserError(f"there is no user {name}; `analytics portal users list` shows who there is")
    return users[name]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
