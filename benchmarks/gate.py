"""The regression gate: compares ratios of a new run with those of the committed run.

It compares no times, as the speed of machines differs and drifts. The ratios to the roofline and to
Temporal, measured alternately in one run, show whether the suite has become slower.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import values_of
from benchmarks.goals import (
    W1_OF_ROOFLINE,
    W1_OF_TEMPORAL,
    W1S_OF_ROOFLINE,
    W2_OF_ROOFLINE,
    Value,
)

COMMITTED = Path(__file__).parent / "results" / "latest.json"
TOLERANCE = 0.15
"""The tolerated loss of a ratio: the difference between two runs of the same code."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two values; `of` returns None if a run did not measure them."""

    name: str
    of: Value
    lower_is_better: bool = False


RATIOS = (
    Ratio("W1 ÷ roofline", W1_OF_ROOFLINE),
    Ratio("W1s ÷ roofline", W1S_OF_ROOFLINE),
    Ratio("W1 ÷ Temporal", W1_OF_TEMPORAL),
    Ratio("W2 p50 ÷ roofline", W2_OF_ROOFLINE, lower_is_better=True),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ratio before and now; `worse` is its relative loss."""

    name: str
    before: float | None
    now: float | None
    worse: float

    def passes(self, tolerance: float) -> bool:
        """Return whether a ratio is measured and within the tolerance."""
        if self.before is None:
            return True
        return self.now is not None and self.worse <= tolerance


def judge(committed: dict[str, Any], new: dict[str, Any]) -> list[Verdict]:
    """Compare all ratios of two runs."""
    before, now = values_of(committed), values_of(new)
    return [_verdict(ratio, ratio.of(before), ratio.of(now)) for ratio in RATIOS]


def _verdict(ratio: Ratio, before: float | None, now: float | None) -> Verdict:
    worse = 0.0
    if before and now:
        worse = now / before - 1 if ratio.lower_is_better else 1 - now / before
    return Verdict(ratio.name, before, now, max(worse, 0.0))


def main(arguments: Sequence[str]) -> int:
    """Return 1 if a ratio is missing or worse than the tolerance allows."""
    parser = argparse.ArgumentParser(prog="benchmarks.gate", description=__doc__)
    parser.add_argument("new", type=Path, help="results to compare")
    parser.add_argument("--against", type=Path, default=COMMITTED, help="committed results")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help=f"tolerated loss of a ratio (default {TOLERANCE})",
    )
    options = parser.parse_args(arguments)
    verdicts = judge(json.loads(options.against.read_text()), json.loads(options.new.read_text()))
    for each in verdicts:
        passed = "ok" if each.passes(options.tolerance) else "WORSE"
        print(f"{each.name:<20} {_shown(each.before)} → {_shown(each.now)}  {passed}")
    return 0 if all(each.passes(options.tolerance) for each in verdicts) else 1


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
