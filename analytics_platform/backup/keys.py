"""What names people or lets them in, sealed apart from the rest: keys to people, hashes of passwords, reference keys.

A backup is read by whoever may read its target; who also has the passphrase opens these. They only ever grow (a key is
added, never taken back), and who lost their access must not get it back, so a restore takes the newest that the target
has, whichever backup it restores.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from analytics_platform.backup.target import KEYS_PREFIX, BackupTarget
from analytics_platform.errors import AnalyticsError

VERSION = 1

_COST, _BLOCK, _MEMORY = 2**15, 8, 64 * 1024**2
_SALT_BYTES, _NONCE_BYTES = 16, 12


class SealedKeysError(AnalyticsError):
    """The sealed keys of a target cannot be opened, or there are none."""


def seal_keys(target: BackupTarget, backup_id: str, files: Mapping[str, bytes], passphrase: str) -> None:
    """Put files by name, sealed under a passphrase (scrypt, AES-256-GCM)."""
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    plain = orjson.dumps({name: base64.b64encode(data).decode() for name, data in files.items()})
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, _about(VERSION))
    said = {"salt": salt, "nonce": nonce, "sealed": sealed}
    texts = {name: base64.b64encode(data).decode() for name, data in said.items()}
    target.store.put(f"{KEYS_PREFIX}{backup_id}.json", orjson.dumps({"version": VERSION, **texts}))


def newest_keys(target: BackupTarget, passphrase: str) -> dict[str, bytes]:
    """The files that were sealed last.

    Raises:
        SealedKeysError: there are none, or the passphrase is another one.
    """
    keys = [info.key for info in target.store.list(KEYS_PREFIX)]
    if not keys:
        raise SealedKeysError(f"{target.address} holds no sealed keys; name the files with --keys")
    said = orjson.loads(target.store.get(max(keys)))
    salt, nonce, sealed = (base64.b64decode(said[name]) for name in ("salt", "nonce", "sealed"))
    try:
        plain = AESGCM(_key(passphrase, salt)).decrypt(nonce, sealed, _about(said["version"]))
    except InvalidTag:
        raise SealedKeysError(
            f"{max(keys)} was sealed under another passphrase, or is damaged; set the one of its time in "
            "backup_passphrase, or name the files with --keys"
        ) from None
    return {name: base64.b64decode(data) for name, data in orjson.loads(plain).items()}


def _key(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=_COST, r=_BLOCK, p=1, maxmem=_MEMORY, dklen=32)


def _about(version: int) -> bytes:
    return f"analytics backup keys {version}".encode()
