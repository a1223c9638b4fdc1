"""Seeded chance. One generator per (seed, tenant, domain or thing), so that no domain can shift another's luck.

Belongs here: what every domain draws. Stays out: what the draws mean. Seeds are texts: `random.Random` hashes
them with SHA-512, which no process, platform or `PYTHONHASHSEED` changes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice(random.Random):
    """A random generator that is named by the path of what it decides about."""

    def __init__(self, *path: object) -> None:
        self.path = "/".join(str(part) for part in path)
        super().__init__(self.path)

    def child(self, *path: object) -> Dice:
        """Independent dice for a part: what they draw does not depend on what was drawn here before."""
        return Dice(self.path, *path)

    def chance(self, probability: float) -> bool:
        """Whether something with this probability (0..1) happens."""
        return self.random() < probability

    def pick(self, weights: Mapping[T, float]) -> T:
        """One key of `weights`, as likely as its weight."""
        return self.choices(tuple(weights), tuple(weights.values()))[0]

    def poisson(self, mean: float) -> int:
        """How often something happens that happens `mean` times on average (Knuth; for means below 50)."""
        limit, product, count = math.exp(-mean), self.random(), 0
        while product > limit:
            product *= self.random()
            count += 1
        return count

    def skewed(self, median: float, spread: float) -> float:
        """A duration or an amount: log-normal, never negative; `spread` is the sigma of its logarithm."""
        return median * math.exp(self.gauss(0.0, spread))

    def name(self, prefix: str) -> str:
        """A new id, e.g. `bkg_3f09a1c2d4`: 40 random bits, so that ids do not tell how many there are."""
        return f"{prefix}_{self.getrandbits(40):010x}"


def spread_evenly(things: Sequence[T], shares: Mapping[str, float]) -> list[tuple[T, str]]:
    """Pairs each thing with a label so that the labels appear in about the given shares (order kept)."""
    total = sum(shares.values())
    counts = dict.fromkeys(shares, 0)
    pairs = []
    for place, thing in enumerate(things, start=1):
        label = max(shares, key=lambda name: shares[name] / total * place - counts[name])
        counts[label] += 1
        pairs.append((thing, label))
    return pairs
