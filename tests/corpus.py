"""Logs of other projects and whole captures, beside the checkout of those who have them; no part of it.

What looks through them is marked `corpus`. Where there is none, `tests/conftest.py` leaves those tests out of the run,
and says so at its end; the vectors stand in for them.
"""

from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
