"""The packages that the lock files of all languages name."""

import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from tools.scans.findings import ROOT

_POM: Final = "{http://maven.apache.org/POM/4.0.0}"


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a lock file; `licence` is known where the lock names it."""

    kind: str
    name: str
    version: str
    lock: str
    licence: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.name}"


def everything(root: Path = ROOT) -> list[Package]:
    """Return the packages of every lock file that git knows, sorted by kind, name and version."""
    listed = subprocess.run(
        ("git", "ls-files"), cwd=root, capture_output=True, text=True, check=True
    )
    found = {
        each
        for name in listed.stdout.splitlines()
        for pattern, read in READERS
        if re.search(pattern, name)
        for each in read(root / name, name)
    }
    return sorted(found, key=lambda each: (each.kind, each.name, each.version, each.lock))


def _pypi(path: Path, lock: str) -> Iterator[Package]:
    for name, version in re.findall(r"^([\w.\[\]-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE):
        yield Package("pypi", re.sub(r"\[.*\]|[-_.]+", _dash, name).lower(), version, lock)


def _dash(matched: re.Match[str]) -> str:
    return "" if matched[0].startswith("[") else "-"


def _npm(path: Path, lock: str) -> Iterator[Package]:
    for place, row in json.loads(path.read_text())["packages"].items():
        name = place.rpartition("node_modules/")[2]
        if "node_modules/" in place and not row.get("link"):
            yield Package("npm", name, row["version"], lock, row.get("license", ""))


def _go(path: Path, lock: str) -> Iterator[Package]:
    found = re.findall(r"^\s*(?:require )?(\S+\.\S+/?\S*) (v\S+)", path.read_text(), re.MULTILINE)
    for name, version in found:
        if not name.startswith("flowmesh.dev/"):
            yield Package("golang", name, version, lock)


def _cargo(path: Path, lock: str) -> Iterator[Package]:
    for row in tomllib.loads(path.read_text())["package"]:
        if "source" in row:
            yield Package("cargo", row["name"], row["version"], lock)


def _maven(path: Path, lock: str) -> Iterator[Package]:
    """Yield the declared dependencies and plug-ins; Maven has no lock of those behind them."""
    tree = ElementTree.fromstring(path.read_text())
    for tag in ("dependency", "plugin"):
        for each in tree.iter(f"{_POM}{tag}"):
            default = "org.apache.maven.plugins" if tag == "plugin" else ""
            group, name = _text(each, "groupId") or default, _text(each, "artifactId")
            if group != "dev.flowmesh":
                yield Package("maven", f"{group}/{name}", _text(each, "version"), lock)


def _text(element: Element, tag: str) -> str:
    return element.findtext(f"{_POM}{tag}") or ""


READERS: Final[tuple[tuple[str, Callable[[Path, str], Iterator[Package]]], ...]] = (
    (r"requirements\.lock$|^requirements-\w+\.lock$|data-requirements\.lock$", _pypi),
    (r"(^|/)package-lock\.json$", _npm),
    (r"(^|/)go\.mod$", _go),
    (r"(^|/)Cargo\.lock$", _cargo),
    (r"(^|/)pom\.xml$", _maven),
)
