"""How long the fuzzing goes on: shortly with the suite, at length with `--hypothesis-profile thorough`."""

from __future__ import annotations

import hypothesis

# A hundred examples each in the suite; these find what a hundred do not.
hypothesis.settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=20_000,
    suppress_health_check=list(hypothesis.HealthCheck),
)
