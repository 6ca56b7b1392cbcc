"""Commits that change the product without its tests: `python -m tools.gates.history [RANGE]`.

A commit that adds at least LINES_LEAST lines of Python to libs/ or services/ is to change a test
too. Moves and renames add nothing. Prints the commits that do not, and exits with 1 if more than a
share of ALONE_MOST do not.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.release_check import ROOT

LINES_LEAST: Final = 40
ALONE_MOST: Final = 0.10
COMMITS: Final = 200
_PRODUCT: Final = ("libs/", "services/")
_TESTS: Final = ("tests/", "console/tests/", "sdks/conformance/")


@dataclass(slots=True)
class Commit:
    """A commit: its subject, the lines that it adds to the product, whether it changes a test."""

    subject: str
    added: int = 0
    tested: bool = False


def commits(chosen: Sequence[str], root: Path = ROOT) -> list[Commit]:
    """Return the commits of a range that add to the product."""
    form = ("--no-merges", "--find-renames", "--numstat", "--format=%x00%h %s")
    done = subprocess.run(
        ("git", "log", *form, *chosen), cwd=root, capture_output=True, text=True, check=True
    )
    found: list[Commit] = []
    for part in done.stdout.split("\0")[1:]:
        subject, *rows = part.splitlines()
        commit = Commit(subject)
        for added, _, name in (row.split("\t", 2) for row in rows if "\t" in row):
            if name.startswith(_PRODUCT) and name.endswith(".py") and added.isdecimal():
                commit.added += int(added)
            commit.tested |= name.startswith(_TESTS)
        found.append(commit)
    return [each for each in found if each.added >= LINES_LEAST]


def main(arguments: Sequence[str]) -> int:
    every = commits(arguments or [f"-n{COMMITS}"])
    alone = [each for each in every if not each.tested]
    print("\n".join(f"no test: {each.subject} (+{each.added})" for each in alone))
    print(f"{len(every) - len(alone)} of {len(every)} commits of the product change a test")
    return 1 if len(alone) > ALONE_MOST * len(every) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
