"""Check the gates: `python -m tools.gates [NUMBER ...]`, all eight without a number.

Gates 5 to 7 read the reports of `make test`, `make test-long`, `make coverage`, `make mutants` and
`make scan` in build/: a report that is missing is a closed gate.
"""

import sys
from collections.abc import Sequence

from tools.gates.checks import GATES

SHOWN_MAX = 20


def main(arguments: Sequence[str]) -> int:
    numbers = [int(each) for each in arguments if each.isdecimal() and 0 < int(each) <= len(GATES)]
    if len(numbers) != len(arguments):
        raise SystemExit(f"the gates are 1 to {len(GATES)}, not {' '.join(arguments)}")
    closed = []
    for number in numbers or range(1, len(GATES) + 1):
        name, check = GATES[number - 1]
        problems = list(check())
        print(f"gate {number}: {name}: {'closed' if problems else 'open'}", flush=True)
        print("".join(f"    {each}\n" for each in problems[:SHOWN_MAX]), end="")
        closed += [str(number)] if problems else []
    print(f"closed: {', '.join(closed)}" if closed else "all open")
    return 1 if closed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
