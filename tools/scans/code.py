"""Dangerous code: every security rule of ruff, which are those of bandit, over what is shipped."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.scans.findings import ROOT, Finding, Result

FOLDERS: Final = ("libs", "services")
# Asserts state invariants, and the address of a server is a setting; see pyproject.toml.
LEFT_OUT: Final = "S101,S104"


def scan(root: Path = ROOT, folders: tuple[str, ...] = FOLDERS) -> Result:
    """Run the rules; `# noqa: S...` with a reason beside the line counts as accepted there."""
    done = subprocess.run(
        (
            *(sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache"),
            *("--select", "S", "--ignore", LEFT_OUT, "--output-format", "json", *folders),
        ),
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    findings = sorted(
        {
            Finding(
                "code",
                Path(row["filename"]).relative_to(root).as_posix(),
                f"{row['code']} {row['url'].rpartition('/')[2]}",
            )
            for row in json.loads(done.stdout)
        },
        key=lambda each: (each.place, each.problem),
    )
    return Result("code", sum(1 for each in folders for _ in (root / each).rglob("*.py")), findings)
