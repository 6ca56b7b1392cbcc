"""The regression gate: ratios of a new run against those of the committed one, never times.

A machine has its own speed, and it drifts; what the suite does beside its roofline and beside
Temporal, interleaved in one run, says whether the suite has become slower.
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
"""How much worse a ratio may be: what two runs of the same code differ by."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """`of` is None where a run did not measure what it needs."""

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
    """One ratio, before and now; `worse` is the share by which it fell behind."""

    name: str
    before: float | None
    now: float | None
    worse: float

    def passes(self, tolerance: float) -> bool:
        """A ratio that the committed run has must be measured again."""
        if self.before is None:
            return True
        return self.now is not None and self.worse <= tolerance


def judge(committed: dict[str, Any], new: dict[str, Any]) -> list[Verdict]:
    before, now = values_of(committed), values_of(new)
    return [_verdict(ratio, ratio.of(before), ratio.of(now)) for ratio in RATIOS]


def _verdict(ratio: Ratio, before: float | None, now: float | None) -> Verdict:
    worse = 0.0
    if before and now:
        worse = now / before - 1 if ratio.lower_is_better else 1 - now / before
    return Verdict(ratio.name, before, now, max(worse, 0.0))


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 when a ratio is worse than the tolerance allows, or is missing."""
    parser = argparse.ArgumentParser(prog="benchmarks.gate", description=__doc__)
    parser.add_argument("new", type=Path, help="the results to judge")
    parser.add_argument("--against", type=Path, default=COMMITTED, help="the committed ones")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help=f"{TOLERANCE}")
    options = parser.parse_args(arguments)
    verdicts = judge(json.loads(options.against.read_text()), json.loads(options.new.read_text()))
    for one in verdicts:
        passed = "ok" if one.passes(options.tolerance) else "WORSE"
        print(f"{one.name:<20} {_shown(one.before)} → {_shown(one.now)}  {passed}")
    return 0 if all(one.passes(options.tolerance) for one in verdicts) else 1


def _shown(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
