"""Mutate the logic of the console by Stryker, and count the mutants that its unit tests kill.

    python -m tools.mutants.console [--lines 250] [--seed 1]

Draws lines of the folders without views by a seed, and mutates what begins and ends on them.
Prints the score of each folder with its 95 % interval and the survivors, writes
build/mutants-console.json, and exits with 1 below SCORE_LEAST or PACKAGE_SCORE_LEAST.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from tools import console
from tools.mutants.__main__ import score, too_low

REPORT: Final = console.ROOT / "build" / "mutants-console.json"
# What Stryker writes, see console/stryker.config.json.
WRITTEN: Final = console.ROOT / "build" / "stryker.json"
FOLDERS: Final = ("src/model", "src/text", "src/values")
KILLED: Final = frozenset({"Killed", "Timeout"})
SURVIVED: Final = frozenset({"Survived", "NoCoverage"})


def drawn_lines(count: int, seed: int, folders: Iterable[str] = FOLDERS) -> dict[str, list[int]]:
    """Draw lines with code of the folders of console/; return their numbers by file."""
    lines = [
        (path.relative_to(console.SOURCE).as_posix(), number)
        for folder in folders
        for path in sorted((console.SOURCE / folder).rglob("*.ts"))
        if not path.name.endswith(".test.ts")
        for number, text in enumerate(path.read_text().splitlines(), 1)
        if text.strip() and not text.lstrip().startswith(("import", "/*", "*", "//"))
    ]
    found: dict[str, list[int]] = defaultdict(list)
    for name, number in sorted(random.Random(seed).sample(lines, min(count, len(lines)))):
        found[name].append(number)
    return found


def judged(report: dict[str, Any]) -> tuple[dict[str, list[bool]], list[str]]:
    """Return the outcomes by folder and the survivors; what does not compile is no mutant."""
    outcomes: dict[str, list[bool]] = defaultdict(list)
    survivors = []
    for name, file in sorted(report["files"].items()):
        folder = "/".join(Path(name).parts[:2])
        source = file["source"].splitlines()
        for each in file["mutants"]:
            if each["status"] not in KILLED | SURVIVED:
                continue
            outcomes[folder].append(each["status"] in KILLED)
            if each["status"] in SURVIVED:
                line = each["location"]["start"]["line"]
                change = f"{source[line - 1].strip()}  ->  {each['replacement']}"
                no_test = " (no test reaches the line)" * (each["status"] == "NoCoverage")
                survivors.append(f"console/{name}:{line}: {change}{no_test}")
    return outcomes, survivors


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools.mutants.console")
    parser.add_argument("--lines", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    drawn = drawn_lines(options.lines, options.seed)
    ranges = [f"{name}:{line}-{line}" for name, lines in drawn.items() for line in lines]
    console.run("npx", "stryker", "run", "--mutate", ",".join(ranges))
    outcomes, survivors = judged(json.loads(WRITTEN.read_text()))
    scores = score(outcomes)
    print("\n".join(f"survived {each}" for each in survivors))
    for name, row in scores.items():
        counts = f"{row['killed']} of {row['mutants']} killed"
        print(f"{name:12} {counts}, {row['score']}, {row['interval']}")
    report = {"seed": options.seed, "scores": scores, "survivors": survivors}
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    low = too_low(scores, "")
    print(f"below the least score: {', '.join(low)}" if low else "")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
