"""Builds the packages of the five languages into build/packages and tries to publish them.

`make packages` runs it. Nothing leaves this machine. A language without its tool is skipped with
a line, or an error with `CI=true`.
"""

import argparse
import sys
import time
from pathlib import Path

from tools.release import builders, manifest

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Build the chosen packages; return 1 if a version differs or a build failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("--languages", default=",".join(builders.BUILDERS))
    parser.add_argument("--output", type=Path, default=ROOT / "build/packages")
    given = parser.parse_args()
    if problems := list(manifest.version_problems(ROOT)):
        print("\n".join(problems), file=sys.stderr)
        return 1
    output = given.output.resolve()
    failed = False
    for language in builders.available(given.languages.split(",")):
        began = time.monotonic()
        try:
            built = builders.build(language, output / language)
        except builders.BuildFailed as error:
            print(f"{language}: {error}", file=sys.stderr)
            failed = True
            continue
        names = ", ".join(file.name for file in built)
        print(f"{language}: {names} in {time.monotonic() - began:.0f} s", flush=True)
    manifest.write(output, manifest.version(ROOT))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
