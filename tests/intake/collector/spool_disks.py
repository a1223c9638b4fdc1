"""Disks that fail, fill up, or lose power."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

from analytics_platform.intake.collector.disk import Disk


class FailingDisk(Disk):
    """A disk whose calls fail while a test wants it: `failing` maps a method's name to an errno."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        self.free: int | None = None
        self.syncs = 0

    def _act(self, name: str) -> None:
        if name in self.failing:
            raise OSError(self.failing[name], os.strerror(self.failing[name]))

    def create(self, path: Path) -> int:
        self._act("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        if self.failing.get("write") == errno.ENOSPC:
            super().write(descriptor, data[: len(data) // 2])  # a disk that fills up takes what still fits
        self._act("write")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._act("sync")
        self.syncs += 1
        super().sync(descriptor)

    def truncate(self, path: Path, length: int) -> None:
        self._act("truncate")
        super().truncate(path, length)

    def remove(self, path: Path) -> None:
        self._act("remove")
        super().remove(path)

    def free_bytes(self, folder: Path) -> int:
        return super().free_bytes(folder) if self.free is None else self.free


class PowerDisk(Disk):
    """A disk that knows what a power cut would leave: contents that were synced, under names that were synced.

    Of what was not synced a cut leaves any part, contents and names alike, as real disks do; with `syncing=False` no
    sync of a file has effect.
    """

    def __init__(self, *, syncing: bool = True) -> None:
        self._syncing = syncing
        self._lock = threading.RLock()
        self._files: dict[Path, int] = {}
        self._open: dict[int, Path] = {}
        self._synced: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}
        self._made = 0

    def adopt(self, folder: Path) -> None:
        """Take what is in a folder as synced."""
        for path in folder.iterdir():
            self._made += 1
            self._files[path], self._synced[self._made] = self._made, path.read_bytes()
        self.sync_folder(folder)

    def create(self, path: Path) -> int:
        with self._lock:
            descriptor = super().create(path)
            self._made += 1
            self._files[path], self._open[descriptor] = self._made, path
            return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        with self._lock:
            super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        with self._lock:
            if self._syncing:
                self._keep(self._open[descriptor])

    def truncate(self, path: Path, length: int) -> None:
        with self._lock:
            super().truncate(path, length)
            self._keep(path)

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            super().rename(source, target)
            self._files[target] = self._files.pop(source)

    def remove(self, path: Path) -> None:
        with self._lock:
            super().remove(path)
            self._files.pop(path, None)

    def sync_folder(self, folder: Path) -> None:
        with self._lock:
            self._names[folder] = {path.name: made for path, made in self._files.items() if path.parent == folder}

    def cut(self, folder: Path, target: Path, chance: random.Random, moment: Callable[[], None]) -> None:
        """Leave in `target` what a power cut now would leave of `folder`; `moment` is called at that very moment."""
        with self._lock:
            moment()
            now = {made: path.read_bytes() for path, made in self._files.items() if path.parent == folder}
            names, synced = self._names_after_a_cut(folder, chance), dict(self._synced)
        target.mkdir(parents=True)
        for name, made in names.items():
            kept = synced.get(made, b"")
            rest = now.get(made, kept)[len(kept) :]
            (target / name).write_bytes(kept + _some(rest, chance))

    def _names_after_a_cut(self, folder: Path, chance: random.Random) -> dict[str, int]:
        """Each name as it was when the folder was synced, or as it is now."""
        before = self._names.get(folder, {})
        now = {path.name: made for path, made in self._files.items() if path.parent == folder}
        chosen = {name: chance.choice([before, now]).get(name) for name in sorted({*before, *now})}
        return {name: made for name, made in chosen.items() if made is not None}

    def _keep(self, path: Path) -> None:
        self._synced[self._files[path]] = path.read_bytes()


def _some(rest: bytes, chance: random.Random) -> bytes:
    """Some of what was written and not synced: a part of it, or its length without its content."""
    cut = rest[: chance.randint(0, len(rest))]
    return chance.choice([b"", cut, bytes(len(cut))])
