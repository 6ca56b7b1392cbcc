"""The licence of every dependency, against those that the project permits.

`python -m tools.scans.licences` writes the licences that are found in the installed packages and in
the caches of the package managers into licences.toml; what is found nowhere is written by hand.
"""

import os
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from license_expression import ExpressionError, get_spdx_licensing

from tools.scans import packages
from tools.scans.findings import Finding, Result
from tools.scans.packages import Package

TABLE: Final = Path(__file__).with_name("licences.toml")
_SPDX: Final = get_spdx_licensing()
# Classifiers and loose names as SPDX expressions.
_NAMES: Final = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.1-only",
    "ISC License (ISCL)": "ISC",
    "DFSG approved": "",
    "BSL": "BUSL-1.1",
}
# Sentences of licence texts, the more special ones first.
_TEXTS: Final = (
    (r"Mozilla Public License,? [Vv]ersion 2\.0", "MPL-2.0"),
    (r"Apache License\s+Version 2\.0", "Apache-2.0"),
    (r"Neither the name of|names of its\s+contributors may", "BSD-3-Clause"),
    (r"Redistributions in binary form", "BSD-2-Clause"),
    (r"Permission is hereby granted, free of charge", "MIT"),
    (r"Permission to use, copy, modify, and(/or)? distribute", "ISC"),
    (r"The Go Authors", "BSD-3-Clause"),
)


def scan(found: Iterable[Package], table: dict[str, dict[str, str]]) -> Result:
    """Check every package: its licence is known, as installed, and permitted."""
    names = {each.key: each for each in found}
    findings = [
        Finding("licences", key, problem)
        for key, each in sorted(names.items())
        if (problem := _problem(each, table))
    ]
    return Result("licences", len(names), findings)


def _problem(package: Package, table: dict[str, dict[str, str]]) -> str:
    kept = spdx(package.licence) or table.get(package.kind, {}).get(package.name, "")
    if not kept:
        return f"has no licence in licences.toml; {package.lock} names it"
    installed = _of_distribution(package.name) if package.kind == "pypi" else ""
    if installed and installed != kept:
        return f"is installed under {installed}, and licences.toml has {kept}"
    if not permitted(kept, table["permitted"]):
        return f"is under {kept}, which is not permitted"
    return ""


def read_table() -> dict[str, dict[str, str]]:
    """Return the permitted licences, and the licence of each package of each kind."""
    table: dict[str, dict[str, Any]] = tomllib.loads(TABLE.read_text())
    permitted = {"permitted": table.pop("permitted")}
    return permitted | {
        kind: {name: licence for licence, names in row.items() for name in names}
        for kind, row in table.items()
    }


def permitted(expression: str, names: Iterable[str]) -> bool:
    """Return whether one alternative of an SPDX expression has permitted licences only."""
    try:
        parsed = _SPDX.parse(expression, validate=True)
    except ExpressionError:
        return False
    known = {name.lower() for name in names}
    alternatives = _SPDX.dedup(parsed).simplify()
    return _holds(alternatives, known)


def _holds(node: object, known: set[str]) -> bool:
    if isinstance(node, _SPDX.OR):
        return any(_holds(each, known) for each in node.args)
    if isinstance(node, _SPDX.AND):
        return all(_holds(each, known) for each in node.args)
    return str(node).lower() in known


def spdx(text: str) -> str:
    """Return a licence as an SPDX expression; empty if the name is not known."""
    text = _NAMES.get(text.strip(), text.strip()).replace("/", " OR ")
    try:
        return text if text and not _SPDX.unknown_license_keys(text) else ""
    except ExpressionError:
        return ""


def _of_distribution(name: str) -> str:
    try:
        metadata = distribution(name).metadata
    except PackageNotFoundError:
        return ""
    classifiers = [each.split(" :: ")[-1] for each in metadata.get_all("Classifier") or []]
    known = sorted({spdx(each) for each in classifiers if each in _NAMES} - {""})
    first = (metadata.get_all("License") or [""])[0].strip().partition("\n")[0]
    expression = (metadata.get_all("License-Expression") or [""])[0]
    return spdx(expression) or " AND ".join(known) or spdx(first)


# --- writing the table ---


def _found(package: Package) -> str:
    """Return the licence of a package as the machine has it; empty if it is not here."""
    if package.kind == "pypi":
        return _of_distribution(package.name)
    if package.kind == "golang":
        path = re.sub(r"[A-Z]", lambda each: f"!{each[0].lower()}", package.name)
        return _of_folder(_cache("GOMODCACHE", "go/pkg/mod") / f"{path}@{package.version}")
    if package.kind == "cargo":
        source = _cache("CARGO_HOME", ".cargo") / "registry" / "src"
        name = f"{package.name}-{package.version}"
        for manifest in source.glob(f"*/{name}/Cargo.toml"):
            row = tomllib.loads(manifest.read_text())["package"]
            return spdx(row.get("license", "")) or _of_folder(manifest.parent)
    return ""


def _cache(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default)


def _of_folder(folder: Path) -> str:
    for file in sorted(folder.glob("[LlCc][IiOo][CcPp][EeYy]*")):
        text = " ".join(file.read_text(errors="replace").split()) if file.is_file() else ""
        for pattern, licence in _TEXTS:
            if re.search(pattern, text):
                return licence
    return ""


def _lines(found: Iterable[Package], table: dict[str, dict[str, str]]) -> Iterator[str]:
    """Yield the table by kind and licence, in lines of 100 columns."""
    kept = {each.key: each for each in found if not spdx(each.licence)}
    named: dict[tuple[str, str], list[str]] = {}
    for each in kept.values():
        licence = _found(each) or table.get(each.kind, {}).get(each.name, "")
        named.setdefault((each.kind, licence), []).append(f'"{each.name}"')
    for kind in sorted({kind for kind, _ in named}):
        yield f"\n[{kind}]"
        for (_, licence), names in sorted(row for row in named.items() if row[0][0] == kind):
            text = textwrap.fill(", ".join(sorted(names)), 96, break_on_hyphens=False)
            yield f'"{licence}" = [\n{textwrap.indent(text, "    ")},\n]'


def main() -> int:
    """Rewrite the generated part of the table; return 1 if a licence is missing."""
    head = TABLE.read_text().partition("\n[cargo]")[0].rstrip()
    lines = list(_lines(packages.everything(), read_table()))
    TABLE.write_text("\n".join((head, *lines)) + "\n")
    missing = [each for each in lines if each.startswith('"" =')]
    print("\n".join(missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
