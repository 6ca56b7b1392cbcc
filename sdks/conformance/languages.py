"""The languages with an SDK: builds and checks those whose tools are there.

`python -m sdks.conformance.languages build|check` does it for all, as `make sdks` and
`make test-sdks` do.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES: dict[str, Any] = yaml.safe_load((ROOT / "sdks/conformance/drivers.yaml").read_text())


class ToolMissing(Exception):
    """A language cannot be tested in CI."""


def available(names: list[str]) -> list[str]:
    """Return the languages whose tool is there; one without it is an error in CI."""
    found = []
    for name in names:
        tool = LANGUAGES[name]["tool"]
        if shutil.which(tool):
            found.append(name)
        elif os.environ.get("CI") == "true":
            raise ToolMissing(f"CI needs {tool} for the SDK of {name}")
        else:
            print(f"skipped: no {tool}", file=sys.stderr)
    return found


def run(language: dict[str, Any], step: str) -> None:
    """Run the shell command of a step, if the language has one."""
    if command := language.get(step):
        argv = ("bash", "-euo", "pipefail", "-c", command)
        subprocess.run(argv, cwd=ROOT, check=True)


def command(name: str, *, optimized: bool = False) -> list[str]:
    """Build the driver of a language; return the command that runs it."""
    language = LANGUAGES[name]
    if optimized:
        language = language.get("optimized", language)
    run(language, "build")
    return [sys.executable if word == "python" else word for word in language["run"]]


def main() -> int:
    """Run a step for all languages; return 1 if one of them failed."""
    step, failed = sys.argv[1], []
    for name in available(list(LANGUAGES)):
        began = time.monotonic()
        try:
            run(LANGUAGES[name], step)
        except subprocess.CalledProcessError as error:
            failed.append(f"{step} of {name}: exit code {error.returncode}")
        print(f"{step} {name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
