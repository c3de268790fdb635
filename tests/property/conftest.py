"""How many examples are tried: few enough for every run of the tests, the same ones each time in CI.

`make test` takes the profile `default`; `pytest tests/property --hypothesis-profile=long` tries many more.
"""

from __future__ import annotations

import os
from datetime import timedelta

from hypothesis import HealthCheck, settings

# An example takes milliseconds; what takes seconds hangs or costs more than in proportion to its input.
DEADLINE = timedelta(seconds=5)
QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large)

settings.register_profile("default", max_examples=150, deadline=DEADLINE, suppress_health_check=QUIET)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, database=None)
settings.register_profile("long", settings.get_profile("default"), max_examples=20_000)
settings.load_profile("ci" if os.environ.get("CI") else "default")
