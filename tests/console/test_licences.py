"""The licences of the packages that the bundle of the console carries."""

import json
import re

from tools import console

PERMITTED = {"MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "OFL-1.1"}
LICENCES = console.BUNDLE / "assets" / "licences.txt"
_HEAD = re.compile(r"^## (\S+) - (\S+)(?: \((.+)\))?$", re.MULTILINE)


def test_every_shipped_package_has_a_permitted_licence() -> None:
    """Each has its name, its version and its licence in the bundle."""
    found = _HEAD.findall(LICENCES.read_text())
    assert len(found) >= len(declared())
    assert {name: licence for name, _, licence in found if licence not in PERMITTED} == {}


def test_every_dependency_is_listed_with_the_version_of_the_lock() -> None:
    """A package that is declared is shipped; its text of the licence goes with it.

    `radix-ui` only re-exports packages of its scope, which are listed by themselves.
    """
    versions = {name: version for name, version, _ in _HEAD.findall(LICENCES.read_text())}
    lock = json.loads((console.SOURCE / "package-lock.json").read_text())["packages"]
    expected = {name: lock[f"node_modules/{name}"]["version"] for name in declared()}
    assert {name: versions.get(name) for name in expected} == expected


def declared() -> set[str]:
    """Return the dependencies of the page; those of its tools are not shipped."""
    package = json.loads((console.SOURCE / "package.json").read_text())
    return set(package["dependencies"]) - {"radix-ui"}
