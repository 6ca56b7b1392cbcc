"""Check the gates: `python -m tools.gates [--partial] [NUMBER ...]`, all eight without a number.

Gates 5 to 7 read the reports of `make test`, `make test-long`, `make test-kubernetes`,
`make coverage`, `make coverage-sdks`, `make mutants` and `make scan` in build/. A gate with a part
that was not run for this commit has not passed. With `--partial` it does not fail the command
either, as in CI.
"""

import argparse
import sys
from collections.abc import Sequence

from tools.gates.artefacts import NotRun, Problem
from tools.gates.checks import GATES

SHOWN_MAX = 20
PASSED, FAILED, NOT_RUN = STATES = ("passed", "failed", "not run")


def state(problems: Sequence[Problem]) -> str:
    """Return the state of a gate: a failure counts more than a part that was not run."""
    if any(isinstance(each, str) for each in problems):
        return FAILED
    return NOT_RUN if problems else PASSED


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.gates")
    parser.add_argument("--partial", action="store_true")
    parser.add_argument("numbers", nargs="*", type=int, metavar="NUMBER")
    options = parser.parse_args(arguments)
    if unknown := [str(each) for each in options.numbers if not 0 < each <= len(GATES)]:
        raise SystemExit(f"the gates are 1 to {len(GATES)}, not {' '.join(unknown)}")
    found: dict[str, list[str]] = {each: [] for each in STATES}
    for number in options.numbers or range(1, len(GATES) + 1):
        name, check = GATES[number - 1]
        problems = list(check())
        found[state(problems)].append(str(number))
        print(f"gate {number}: {name}: {state(problems)}", flush=True)
        for each in problems[:SHOWN_MAX]:
            print(f"    not run: {each.why}" if isinstance(each, NotRun) else f"    {each}")
    print("; ".join(f"{name}: {', '.join(gates)}" for name, gates in found.items() if gates))
    return 1 if found[FAILED] or (found[NOT_RUN] and not options.partial) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
