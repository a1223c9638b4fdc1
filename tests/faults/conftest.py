"""Faults are played on every room, so helpers of the rooms' own tests are at hand here."""

import sys
from pathlib import Path

ROOMS = ("alerting", "governance", "intake")

sys.path.extend(str(Path(__file__).parents[1] / room) for room in ROOMS)
