"""Install a lock file into this environment with pip and show the progress.

python -m tools.install "what Flowmesh needs" requirements.lock
"""

import sys
from itertools import count
from pathlib import Path

from tools.progress import run

PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off")
# Everything comes as a wheel but what `yattag`, a dependency of cosmic-ray, publishes: sources.
LOCKED = ("--require-hashes", "--only-binary", ":all:", "--no-binary", "yattag")


def main(what: str, lock: str) -> int:
    """Return the exit code of pip; its output is shown on failure."""
    packages = sum("==" in line for line in Path(lock).read_text().splitlines())
    seen = count(1)

    def stage_of(line: str) -> str:
        if line.startswith(("Collecting ", "Requirement already satisfied: ")):
            return f"package {next(seen)} of {packages}"
        if line.startswith("Installing collected packages: "):
            return f"unpacking {line.count(',') + 1} packages"
        return ""

    code, output = run(f"installing {what}", (*PIP, *LOCKED, "-r", lock), stage_of)
    if code:
        sys.stderr.write(output)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
