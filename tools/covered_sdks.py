"""Measure which lines of each SDK besides Python its unit tests reach.

    python -m tools.covered_sdks

The step `cover` of sdks/conformance/drivers.yaml runs the tests. Conformance scenarios, which need
a suite, and generated code do not count; of Go, statements count. Prints each SDK below its floor
in tools/coverage.toml, writes build/coverage-sdks.json, and exits with 1 if there is one, or if an
SDK cannot be measured.
"""

import csv
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from sdks.conformance.languages import LANGUAGES, available, run
from tools.covered import CONFIG, MARGIN, ROOT, Share

REPORT: Final = ROOT / "build" / "coverage-sdks.json"
# Node counts every line of a file: these are neither empty nor of a comment.
_CODE: Final = re.compile(r"\s*(?!//|/\*|\*)\S")


def go_share(profile: str) -> Share:
    """Return the statements of a profile, which has each block once for each package of tests."""
    blocks: dict[str, bool] = {}
    for row in profile.splitlines()[1:]:
        block, runs = row.rsplit(" ", 1)
        blocks[block] = blocks.get(block, False) or runs != "0"
    sizes = {block: int(block.rsplit(" ", 1)[1]) for block in blocks}
    return Share(sum(sizes.values()), sum(sizes[block] for block in blocks if blocks[block]))


def java_share(table: str) -> Share:
    """Return the lines of a table of JaCoCo, which has a row for each class."""
    rows = list(csv.DictReader(table.splitlines()))
    reached = sum(int(row["LINE_COVERED"]) for row in rows)
    return Share(reached + sum(int(row["LINE_MISSED"]) for row in rows), reached)


def rust_share(report: str) -> Share:
    """Return the lines of a report in the form of lcov."""
    sources = ROOT / "sdks" / "rust" / "src"
    files = _lcov(report, sources.parent).items()
    lines = [each for file, row in files if file.is_relative_to(sources) for each in row.values()]
    return Share(len(lines), sum(lines))


def typescript_share(report: str, folder: Path = ROOT / "sdks" / "typescript") -> Share:
    """Return the lines of the compiled modules; a report of Node lacks those that no test loads."""
    reached = _lcov(report, folder)
    share = Share()
    for file in (folder / "dist").rglob("*.js"):
        if file.is_relative_to(folder / "dist" / "proto"):
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if _CODE.match(line):
                share.lines += 1
                share.reached_lines += reached.get(file, {}).get(number, False)
    return share


def _lcov(report: str, folder: Path) -> dict[Path, dict[int, bool]]:
    """Return of each file which of its lines are reached."""
    found: dict[Path, dict[int, bool]] = {}
    lines: dict[int, bool] = {}
    for row in report.splitlines():
        kind, _, value = row.partition(":")
        if kind == "SF":
            lines = found[folder / value] = {}
        elif kind == "DA":
            number, runs = value.split(",")[:2]
            lines[int(number)] = runs != "0"
    return found


# What the tests of each SDK leave, and what reads it.
SDKS: Final[dict[str, tuple[str, Callable[[str], Share]]]] = {
    "go": ("build/sdks/coverage/go.out", go_share),
    "java": ("sdks/java/sdk/target/site/jacoco/jacoco.csv", java_share),
    "rust": ("build/sdks/coverage/rust.lcov", rust_share),
    "typescript": ("build/sdks/coverage/typescript.lcov", typescript_share),
}


def floors() -> dict[str, float]:
    """Return the least share of the lines of each SDK."""
    least: dict[str, float] = tomllib.loads(CONFIG.read_text())["sdks"]
    return least


def problems(found: Mapping[str, float], least: Mapping[str, float]) -> Iterator[str]:
    """Yield the SDKs below their floor, and those without one."""
    for name, share in found.items():
        if name not in least:
            yield f"the SDK of {name} has no floor in {CONFIG.name}: write {share - MARGIN:.2f}"
        elif share < least[name]:
            reached = f"the unit tests of the SDK of {name} reach {share:.1%} of its lines"
            yield f"{reached}, and the floor is {least[name]:.0%}"


def measure(name: str) -> Share:
    """Run the unit tests of an SDK; raise CalledProcessError if one fails."""
    file, share_of = SDKS[name]
    report = ROOT / file
    report.unlink(missing_ok=True)
    run(LANGUAGES[name], "cover")
    return share_of(report.read_text())


def main() -> int:
    found: dict[str, float] = {}
    failed: list[str] = []
    (ROOT / "build/sdks/coverage").mkdir(parents=True, exist_ok=True)
    for name in available(list(SDKS)):
        try:
            share = measure(name)
        except subprocess.CalledProcessError as error:
            failed.append(f"the SDK of {name} is not measured: exit code {error.returncode}")
            continue
        if share.lines:
            found[name] = round(share.of_lines, 4)
        else:
            failed.append(f"the SDK of {name} is not measured: its report has no line")
    REPORT.write_text(json.dumps(found, indent=1) + "\n")
    failed += problems(found, floors())
    print("\n".join((*(f"{name:12} lines {share:.1%}" for name, share in found.items()), *failed)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
