"""Merges the three folders of the namespace `flowmesh` into one wheel.

setuptools' own discovery gives a namespace one folder only; everything else is in pyproject.toml.
With FLOWMESH_CORE=compiled the wheel is one for this platform and carries what `make compile`
made, beside the sources, which stay the fallback: `make wheel` builds both.
"""

import os
import sys
from pathlib import Path

from setuptools import Distribution, find_namespace_packages, setup

FOLDERS = ("gen/python", "libs", "services")
COMPILED = Path("build/compiled")
CORE = "flowmesh.core"


class PlatformDistribution(Distribution):
    """A distribution with native code that setuptools did not build itself."""

    def has_ext_modules(self) -> bool:
        return True


packages: list[str] = []
folders: dict[str, str] = {}
for folder in FOLDERS:
    packages += find_namespace_packages(
        folder, include=["flowmesh.*"], exclude=["*.__pycache__", "*.__pycache__.*"]
    )
    for package in (Path(folder) / "flowmesh").iterdir():
        folders[f"flowmesh.{package.name}"] = package.as_posix()

# Every file of a package belongs to it: SQL, Lua, YAML, whatever its code reads.
data = {"": ["*"]}
kind: type[Distribution] = Distribution
if os.environ.get("FLOWMESH_CORE") == "compiled":
    if not (COMPILED / "manifest.json").exists():
        sys.exit("there is no compiled core for a platform wheel: run `make wheel`")
    compiled = f"{CORE}.compiled"
    packages += [compiled, *(f"{compiled}.{name}" for name in find_namespace_packages(COMPILED))]
    folders[compiled] = COMPILED.as_posix()
    kind = PlatformDistribution

setup(packages=packages, package_dir=folders, package_data=data, distclass=kind)
