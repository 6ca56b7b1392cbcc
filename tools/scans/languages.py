"""Dangerous code in Go and TypeScript, by gosec and by eslint with its plug-in for security.

`make scan` installs both into build/scans. Where one is missing, its part is unchecked.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tools.scans.findings import ROOT, Finding, Result

INSTALLED: Final = ROOT / "build" / "scans"
GOSEC: Final = INSTALLED / "go" / "gosec"
ESLINT: Final = INSTALLED / "node" / "node_modules" / ".bin" / "eslint"
CONFIG: Final = INSTALLED / "node" / "eslint.config.js"
GO: Final = ("sdks/go", "tests/linearizability/checker")
TYPESCRIPT: Final = ("console/src", "sdks/typescript/src")
# Rules that ask about every index and every name of a file: they find no danger here, where
# types are checked, and hide the others.
NOISE: Final = (
    "security/detect-object-injection",
    "security/detect-non-literal-fs-filename",
)
SECONDS: Final = 600


def scan(root: Path = ROOT, go: tuple[str, ...] = GO, web: tuple[str, ...] = TYPESCRIPT) -> Result:
    """Run both over these folders; examined are the folders."""
    result = Result("languages", 0, [])
    for name, program, folders, read in (
        ("gosec", GOSEC, go, gosec),
        ("eslint", ESLINT, web, eslint),
    ):
        if not program.is_file():
            result.unchecked.append(f"{name}: not installed")
            continue
        for folder in folders:
            result.examined += 1
            rows = read(root / folder)
            found = {
                Finding("languages", Path(place).relative_to(root).as_posix(), problem)
                for place, problem in rows
            }
            result.findings += sorted(found, key=str)
    return result


def gosec(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the file and the rule of each finding in a module of Go."""
    options = ("-quiet", "-exclude-dir", "conformance", "-exclude-dir", "examples")
    report = _report(folder, str(GOSEC), *options, "-fmt", "json", "./...")
    for row in (report or {}).get("Issues") or ():
        yield row["file"], f"{row['rule_id']} {row['details'].partition(' (')[0]}"


def eslint(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the file and the rule of each finding in a folder of TypeScript."""
    options = ("--config", str(CONFIG), "--format", "json", "--no-inline-config")
    for row in _report(ROOT, str(ESLINT), *options, str(folder)) or ():
        for message in row["messages"]:
            if message["ruleId"] not in NOISE and ".test." not in row["filePath"]:
                yield row["filePath"], message["ruleId"] or message["message"]


def _report(folder: Path, *command: str) -> Any:
    """Return what a scanner printed; raise SystemExit if it printed no report."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    if not done.stdout.strip() and not done.returncode:
        return None
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"{command[0]}: {done.stderr or done.stdout}") from None
