"""Installs a lock file into this environment with pip and shows how far it is.

python -m tools.install "what Flowmesh needs" requirements.lock
"""

import subprocess
import sys
from pathlib import Path

from tools.progress import Progress

PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off")
LOCKED = ("--require-hashes", "--only-binary", ":all:")


def main(what: str, lock: str) -> int:
    """The exit code of pip, whose own output is shown when it fails."""
    count = sum("==" in line for line in Path(lock).read_text().splitlines())
    seen = 0
    lines: list[str] = []
    with (
        Progress(f"installing {what}") as progress,
        subprocess.Popen(
            (*PIP, *LOCKED, "-r", lock),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.append(line)
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
                progress.stage = f"package {seen} of {count}"
            elif line.startswith("Installing collected packages: "):
                progress.stage = f"unpacking {line.count(',') + 1} packages"
    if pip.returncode:
        sys.stderr.writelines(lines)
    return pip.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
