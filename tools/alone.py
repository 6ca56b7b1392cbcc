"""Run pytest, then once more, alone, the files of the few tests that failed.

    python -m tools.alone ARGUMENTS

A busy machine fails a test that has a limit of time. `TESTS_ALONE` is the limit of tests for which
there is a second run with nothing beside it, 0 unless it is set; the output names them, with the
tracebacks of the first run. More failures than that, and a test that fails again, fail the run.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
TESTS_FAILED = 1
REPORT = "--junitxml="


def main(arguments: Sequence[str]) -> int:
    limit = int(os.environ.get("TESTS_ALONE", "0"))
    for report in (_report(alone(arguments, ())), LAST_FAILED):
        if report is not None:
            report.unlink(missing_ok=True)
    returned = _pytest(arguments)
    failed = _last_failed()
    if returned != TESTS_FAILED or not 0 < len(failed) <= limit:
        return returned
    print(f"once more, alone: {len(failed)} failed tests", *failed, sep="\n  ", flush=True)
    return _pytest(alone(arguments, failed))


def alone(arguments: Sequence[str], failed: Iterable[str]) -> list[str]:
    """Return the arguments of the second run; its report is read after that of the first.

    It runs the files of the tests whole: a test may look at what those before it have done.
    """
    files = sorted({each.partition("::")[0] for each in failed})
    reported = [each.replace(".xml", "_alone.xml") for each in arguments if REPORT in each]
    rest = [each for each in arguments if REPORT not in each and not Path(each).exists()]
    return [*rest, *reported, "-n", "0", "--dist", "no", *files]


def _report(arguments: Sequence[str]) -> Path | None:
    found = [each.removeprefix(REPORT) for each in arguments if each.startswith(REPORT)]
    return Path(found[-1]) if found else None


def _last_failed() -> list[str]:
    return list(json.loads(LAST_FAILED.read_text())) if LAST_FAILED.is_file() else []


def _pytest(arguments: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
