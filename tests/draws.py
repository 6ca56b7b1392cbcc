"""How many cases random tests draw."""

import os

SHARE = 3
"""`make test` draws one of so many cases; `make test-all` draws them all."""


def draws(cases: int) -> int:
    """Of so many cases, those that are drawn in this run."""
    return cases if os.environ.get("TESTS_DRAW_ALL") else cases // SHARE
