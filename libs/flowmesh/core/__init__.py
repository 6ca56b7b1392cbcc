"""Which execution core runs: the sources as they are, or what mypyc compiled from them.

The compiled core is in `build/compiled` of a checkout (`make compile`), or beside this file where
a platform wheel is installed (`make wheel`). `install` is called before any of its modules is
loaded: by `flowmesh-dev.pth` of a checkout at every start of Python, and by the command `flowmesh`.
It is used only while its sources are those it was made from; see docs/decisions/0007.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

HOME = Path(__file__).resolve().parent
ROOT = HOME.parents[2]
CHECKOUT = HOME.parents[1].name == "libs"
FOLDER = ROOT / "build" / "compiled" if CHECKOUT else HOME / "compiled"
MANIFEST = FOLDER / "manifest.json"
VARIABLE = "FLOWMESH_CORE"
CHOICES = ("", "pure", "compiled")
MEND = (
    "run `make compile`, or `make pure` to do without"
    if CHECKOUT
    else "install the wheel for this platform"
)


class Finder:
    """Finds the compiled modules where they are; everything else is found as always."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self._modules:
            return None
        from importlib.util import spec_from_file_location

        return spec_from_file_location(name, FOLDER / self._modules[name])


def kind() -> str:
    """What this process runs, in words."""
    found = any(isinstance(finder, Finder) for finder in sys.meta_path)
    return "compiled" if found else "pure Python"


@cache
def install() -> None:
    """Puts the compiled core in front of its sources: if it is there, fresh, and wanted.

    Only the first call of a process decides.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "pure" or (wanted == "" and not MANIFEST.exists()):
        return
    problem = "" if wanted in CHOICES else f"{VARIABLE} is pure or compiled, not {wanted!r}"
    problem = problem or _use()
    if problem:
        with suppress(OSError):  # whatever takes no line
            sys.stderr.write(f"flowmesh: {problem}\n")
        if wanted:
            os._exit(1)  # an exit of the usual kind would be a traceback this early


def _use() -> str:
    """Why the compiled core cannot be used; empty when it is, from now on."""
    import json

    if not MANIFEST.exists():
        return f"there is no compiled core: {MEND}"
    made = json.loads(MANIFEST.read_text())
    if made["digest"] != digest(made["packages"]):
        return f"the compiled core is older than its sources and left out: {MEND}"
    sys.meta_path.insert(0, Finder(made["modules"]))
    return ""


def digest(packages: Iterable[str]) -> str:
    """Of every source of these packages, and of the interpreter that they are compiled for.

    It is the same in a checkout, whose packages are in several folders, and where a wheel is
    installed.
    """
    from hashlib import sha256

    found = sha256(repr((sys.implementation.cache_tag, sys.platform)).encode())
    for package in packages:
        folder = folder_of(package)
        for source in sorted(folder.rglob("*.py")):
            content = source.read_bytes()
            name = source.relative_to(folder).as_posix()
            found.update(f"{package}/{name} {len(content)}\n".encode() + content)
    return found.hexdigest()


def folder_of(package: str) -> Path:
    """The folder of `flowmesh.<package>`: the one that Python imports it from."""
    import flowmesh

    folders = [Path(folder, package) for folder in flowmesh.__path__]
    return next((folder for folder in folders if folder.is_dir()), folders[0])
