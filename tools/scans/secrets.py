"""Secrets in tracked files, by the detectors of detect-secrets."""

import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings

from tools.scans.findings import ACCEPTED, ROOT, Finding, Result

# Generated, or hashes by design: locks, figures with the commit that was measured, and the table of
# accepted findings itself.
SKIPPED: Final = (
    *("gen/", "requirements", "tests/golden/", "tests/data-requirements.lock"),
    *("benchmarks/results/", "libs/flowmesh/cli/operations/costs.json"),
)
SKIPPED_NAMES: Final = {"package-lock.json", "go.sum", "Cargo.lock", "requirements.lock"}
# Pictures, fonts and archives are not text.
BINARY: Final = {".png", ".woff2", ".gz", ".jar", ".ico", ".zip", ".bin"}
FILE_BYTES_MAX: Final = 1 << 20
PROCESSES: Final = 2


def scan(root: Path = ROOT, names: Iterable[str] | None = None) -> Result:
    """Scan the tracked files, or some of them."""
    chosen = sorted(each for each in (tracked(root) if names is None else names) if _wanted(each))
    with ProcessPoolExecutor(PROCESSES) as pool:
        found = pool.map(partial(_in_file, root), chosen, chunksize=16)
        findings = [each for part in found for each in part]
    return Result("secrets", len(chosen), sorted(findings, key=lambda f: (f.place, f.problem)))


def tracked(root: Path = ROOT) -> list[str]:
    listed = subprocess.run(
        ("git", "ls-files"), cwd=root, capture_output=True, text=True, check=True
    )
    return listed.stdout.splitlines()


def _wanted(name: str) -> bool:
    path = Path(name)
    accepted = any(name == each.relative_to(ROOT).as_posix() for each in ACCEPTED)
    skipped = name.startswith(SKIPPED) or path.name in SKIPPED_NAMES or path.suffix in BINARY
    return not (accepted or skipped)


def _in_file(root: Path, name: str) -> list[Finding]:
    path = root / name
    if not path.is_file() or path.stat().st_size > FILE_BYTES_MAX:
        return []
    return list(dict.fromkeys(_findings(path, name)))


def _findings(path: Path, name: str) -> Iterator[Finding]:
    """Yield the findings; a secret is told by its kind and the start of its hash."""
    with default_settings():
        for each in scan_file(str(path)):
            yield Finding("secrets", name, f"{each.type} {each.secret_hash[:10]}")
