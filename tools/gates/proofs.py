"""The proof of a release: a page of docs/proofs/ that the reports of its commit write.

`python -m tools.gates.proofs` writes docs/proofs/<version>.md, and refuses while a figure is
missing. The source describes only some of its 37 stages, so a release of Flowmesh is a stage here.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools import covered_sdks
from tools.gates import artefacts
from tools.release_check import ROOT, project_version

FOLDER: Final = ROOT / "docs" / "proofs"
REVIEWS: Final = FOLDER / "reviews.toml"
BENCHMARKS: Final = ROOT / "benchmarks" / "results" / "latest.json"
DRILLS: Final = ROOT / "tests" / "faults" / "runs.jsonl"
SECTIONS: Final = ("Tests", "Coverage", "Mutation", "Scans", "Benchmarks", "Drills", "Review")
# A page that has one of these is not finished.
HOLES: Final = re.compile(
    r"\b(TO" r"DO|TBD|FIX" r"ME|X{3}|N/A|None|nan|placeholder)\b|\?\?|\| *\|", re.I
)
BENCHMARKED: Final = ("workflows_per_s", "latency_p50_ms", "starts_per_s", "steps_per_s")
# The first version whose releases have a proof; those before it had no tools for one.
FIRST: Final = (0, 3, 0)


class Hole(Exception):
    """A figure of the proof that nothing has measured."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The reports that a proof is written from; None for one that is missing."""

    tests: Mapping[str, artefacts.Layer]
    coverage: Any
    sdks: Any
    mutants: Any
    scans: Any
    benchmarks: Any
    benchmarks_before: Any
    drills: Any
    review: Any


def gathered(version: str) -> Evidence:
    """Read the reports of this checkout."""
    reviews = tomllib.loads(REVIEWS.read_text()) if REVIEWS.is_file() else {}
    review = reviews.get(version, {})
    runs = DRILLS.read_text().splitlines() if DRILLS.is_file() else []
    return Evidence(
        tests=artefacts.pyramid(),
        coverage=artefacts.read(artefacts.COVERAGE),
        sdks=artefacts.read(covered_sdks.REPORT),
        mutants=artefacts.read(artefacts.MUTANTS),
        scans=artefacts.read(artefacts.SCANS),
        benchmarks=json.loads(BENCHMARKS.read_text()) if BENCHMARKS.is_file() else None,
        benchmarks_before=benchmarks_of(review.get("before", "")),
        drills=json.loads(runs[-1]) if runs else None,
        review=review,
    )


def benchmarks_of(release: str, root: Path = ROOT) -> Any:
    """Return the benchmarks that the commit or tag of a release keeps, None if it has none."""
    show = ("git", "show", f"{release}:{BENCHMARKS.relative_to(ROOT)}")
    done = subprocess.run(show, cwd=root, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if release and not done.returncode else None


def page(version: str, commit: str, evidence: Evidence) -> str:
    """Return the page; raise Hole for the first figure that is missing."""
    parts = (_tests, _coverage, _mutation, _scans, _benchmarks, _drills, _review)
    lines = [f"# Proof of {version}", "", f"Written by `make proof` from the reports of {commit}."]
    for title, part in zip(SECTIONS, parts, strict=True):
        lines += ["", f"## {title}", "", *part(evidence)]
    return "\n".join(lines) + "\n"


def _needed(report: Any, what: str) -> Any:
    if not report:
        raise Hole(what)
    return report


def _tests(evidence: Evidence) -> Iterator[str]:
    yield "| layer | passed | failed | skipped |"
    yield "|---|---|---|---|"
    for name, layer in evidence.tests.items():
        if not layer.passed:
            raise Hole(f"no test of the layer {name} has a report in build/tests")
        yield f"| {name} | {layer.passed:,} | {layer.failed} | {layer.skipped} |"


def _coverage(evidence: Evidence) -> Iterator[str]:
    packages = _needed(evidence.coverage, "build/coverage.json: run `make coverage`")["packages"]
    yield "| package | lines | branches |"
    yield "|---|---|---|"
    for name, share in packages.items():
        yield f"| {name} | {share['lines']:.1%} | {share['branches']:.1%} |"
    sdks = _needed(evidence.sdks, "build/coverage-sdks.json: run `make coverage-sdks`")
    yield ""
    yield "| SDK | lines that its unit tests reach |"
    yield "|---|---|"
    yield from (f"| {name} | {share:.1%} |" for name, share in sdks.items())


def _mutation(evidence: Evidence) -> Iterator[str]:
    report = _needed(evidence.mutants, "build/mutants.json: run `make mutants`")
    yield f"Drawn with the seed {report['seed']}."
    yield ""
    yield "| package | mutants | killed | score | 95 % interval |"
    yield "|---|---|---|---|---|"
    for name, row in report["scores"].items():
        low, high = row["interval"]
        counts = f"{row['mutants']} | {row['killed']} | {row['score']:.1%}"
        yield f"| {name} | {counts} | {low:.1%} to {high:.1%} |"
    yield ""
    yield f"{len(report['survivors'])} survivors."


def _scans(evidence: Evidence) -> Iterator[str]:
    report = _needed(evidence.scans, "build/scans.json: run `make scan`")
    yield "| scan | examined | open | accepted |"
    yield "|---|---|---|---|"
    for name, row in report.items():
        counts = f"{row['examined']:,} | {len(row['findings'])} | {len(row['accepted'])}"
        yield f"| {name} | {counts} |"
    unchecked = [part for row in report.values() for part in row["unchecked"]]
    yield ""
    yield from (f"- Not checked: {part}." for part in unchecked)


def _benchmarks(evidence: Evidence) -> Iterator[str]:
    report = _needed(evidence.benchmarks, f"{BENCHMARKS.name}: run `make bench`")
    before = _needed(
        evidence.benchmarks_before, "the review names no `before`, a release with benchmarks"
    )
    for name, each in (("Measured", report), ("The release before", before)):
        yield f"{name} at {each['at']}, commit `{each['commit'][:12]}`."
    yield "A share is that of the same work by bare servers, on the machine of that day."
    yield ""
    yield "| workload | metric | value | release before |"
    yield "|---|---|---|---|"
    old = _values(before)
    for (workload, metric), value in _values(report).items():
        yield f"| {workload} | {metric} | {value} | {old.get((workload, metric), 'not measured')} |"


def _values(report: Any) -> dict[tuple[str, str], str]:
    """Return the figures of the suite by workload and metric, with the share of the ceiling."""
    values = {
        (row["system"], row["workload"], row["metric"]): row["value"] for row in report["results"]
    }
    shown = {}
    for (system, workload, metric), value in values.items():
        if system == "flowmesh" and metric in BENCHMARKED:
            ceiling = values.get(("roofline", workload, metric))
            share = f" ({value / ceiling:.0%})" if ceiling else ""
            shown[workload, metric] = f"{value:,}{share}"
    return shown


def _drills(evidence: Evidence) -> Iterator[str]:
    run = _needed(evidence.drills, f"{DRILLS.name}: run `make faults`")
    yield f"Last run at {run['at']}, commit `{run['commit']}`: {run['failed_tests']} failed tests."
    yield ""
    yield "| fault | drill | times | failures |"
    yield "|---|---|---|---|"
    for row in run["rows"]:
        yield f"| {row['fault']} | {row['what']} | {row['n']} | {row['failures']} |"


def _review(evidence: Evidence) -> Iterator[str]:
    review = _needed(evidence.review, "docs/proofs/reviews.toml has no review of this version")
    for name in ("reviewer", "summary", "risks"):
        _needed(review.get(name), f"the review in docs/proofs/reviews.toml has no {name}")
    yield f"By {review['reviewer']}: {review['summary']}"
    yield ""
    yield "Open risks:"
    yield ""
    yield from (f"- {each}" for each in review["risks"])


def page_problems(text: str) -> Iterator[str]:
    """Yield what a page lacks, and the placeholders that it has."""
    for title in SECTIONS:
        section = re.search(rf"^## {title}\n\n(.+?)(?=\n## |\Z)", text, re.MULTILINE | re.DOTALL)
        if section is None or len(section[1].splitlines()) < 2:
            yield f"has no section {title}, or an empty one"
    for number, line in enumerate(text.splitlines(), 1):
        if found := HOLES.search(line):
            yield f"line {number} has a hole: {found[0]}"


def release_problems(version: str = "", folder: Path = FOLDER) -> Iterator[str]:
    """Gate 8: the proof of this version is there, and no proof has a hole."""
    version = version or project_version()
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:3])
    if numbers >= FIRST and not (folder / f"{version}.md").is_file():
        yield f"docs/proofs/{version}.md is missing: run `make proof`"
    for file in sorted(folder.glob("[0-9]*.md")):
        yield from (f"{file.name}: {each}" for each in page_problems(file.read_text()))


def main() -> int:
    """Write the page of this version; return 1 and print the hole if one is left."""
    version = project_version()
    head = ("git", "rev-parse", "--short=12", "HEAD")
    done = subprocess.run(head, cwd=ROOT, capture_output=True, text=True, check=True)
    try:
        text = page(version, done.stdout.strip(), gathered(version))
    except Hole as hole:
        print(f"the proof of {version} has a hole: {hole}", file=sys.stderr)
        return 1
    left = list(page_problems(text))
    if left:
        print("\n".join(left), file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{version}.md").write_text(text)
    print(f"wrote docs/proofs/{version}.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
