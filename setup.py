"""Merges the three folders of the namespace `flowmesh` into one wheel.

setuptools' own discovery gives a namespace one folder only; everything else is in pyproject.toml.
"""

from pathlib import Path

from setuptools import find_namespace_packages, setup

FOLDERS = ("gen/python", "libs", "services")
DATA = (
    "py.typed",
    "*.pyi",
    "*.sql",
    "*.js",
    "*.css",
    "*.html",
    "*.json",
    "*.svg",
    "*.toml",
    "*.yaml",
)

packages: list[str] = []
folders: dict[str, str] = {}
for folder in FOLDERS:
    packages += find_namespace_packages(folder, include=["flowmesh.*"])
    for package in (Path(folder) / "flowmesh").iterdir():
        folders[f"flowmesh.{package.name}"] = package.as_posix()

setup(packages=packages, package_dir=folders, package_data={"": list(DATA)})
