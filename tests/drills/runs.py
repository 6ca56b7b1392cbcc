"""What runs have found, a line each, in files that are committed."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def append(file: Path, **found: Any) -> None:
    """Adds a run that ends now, of the commit that is checked out."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with file.open("a") as lines:
        lines.write(json.dumps({"at": at, "commit": _commit(), **found}, sort_keys=True) + "\n")


def _commit() -> str:
    asked = ("git", "describe", "--always", "--dirty")
    answer = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
