"""Run the scans: `python -m tools.scans [NAME ...]`, all of them without a name.

Prints a line for each scan and each open finding, writes build/scans.json, and exits with 1 if a
finding is neither mended nor accepted in accepted.toml with a reason and an end date.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tools.scans import (
    code,
    languages,
    licences,
    materials,
    packages,
    rules,
    secrets,
    vulnerabilities,
)
from tools.scans.findings import ROOT, Result, read_accepted, settle

REPORT: Final = ROOT / "build" / "scans.json"
BILL: Final = ROOT / "build" / "sbom.cdx.json"


def _licences() -> Result:
    return licences.scan(packages.everything(), licences.read_table())


def _materials() -> Result:
    return materials.scan(packages.everything(), licences.read_table(), BILL)


SCANS: Final[dict[str, Callable[[], Result]]] = {
    "secrets": secrets.scan,
    "licences": _licences,
    "code": code.scan,
    "rules": rules.scan,
    "languages": languages.scan,
    "vulnerabilities": vulnerabilities.scan,
    "materials": _materials,
}


def write(results: list[Result], file: Path = REPORT) -> None:
    """Replace the results of these scans in the report, and keep those of others."""
    kept = json.loads(file.read_text()) if file.is_file() else {}
    kept |= {each.scan: asdict(each) for each in results}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1) + "\n")


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - SCANS.keys())
    if unknown:
        raise SystemExit(f"no scan {', '.join(unknown)}; there are {', '.join(SCANS)}")
    today, accepted = datetime.now(UTC).date(), read_accepted()
    results = [settle(SCANS[name](), accepted, today) for name in names or SCANS]
    for each in results:
        counts = f"{len(each.findings)} open, {len(each.accepted)} accepted"
        print(f"{each.scan:16} {each.examined:6} examined: {counts}")
        for part in each.unchecked:
            print(f"  not checked: {part}")
        for finding in each.findings:
            print(f"  {finding}")
    write(results)
    return 1 if any(each.findings for each in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
