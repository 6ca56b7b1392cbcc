"""The choice of the execution core: its Python sources, or the modules compiled by mypyc.

The compiled core is in `build/compiled` of a checkout (`make compile`), or beside this file in a
platform wheel (`make wheel`). `install` runs before any of its modules is imported: from
`flowmesh-dev.pth` of a checkout at every start of Python, and from the command `flowmesh`.
The compiled core is used only if its sources are unchanged; see docs/decisions/0007.
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
    """A finder of the compiled modules."""

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
    """Return the core of this process: "compiled" or "pure Python"."""
    found = any(isinstance(finder, Finder) for finder in sys.meta_path)
    return "compiled" if found else "pure Python"


@cache
def install() -> None:
    """Put the compiled core in front of its sources, if it exists, is fresh and wanted.

    Later calls in a process have no effect.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "pure" or (wanted == "" and not MANIFEST.exists()):
        return
    problem = "" if wanted in CHOICES else f"{VARIABLE} must be pure or compiled, not {wanted!r}"
    problem = problem or _use()
    if problem:
        with suppress(OSError):  # stderr may be closed
            sys.stderr.write(f"flowmesh: {problem}\n")
        if wanted:
            os._exit(1)  # SystemExit would print a traceback at this stage of the start


def _use() -> str:
    """Activate the compiled core. Return the reason if it cannot be used, else an empty text."""
    import json

    if not MANIFEST.exists():
        return f"there is no compiled core: {MEND}"
    made = json.loads(MANIFEST.read_text())
    if made["digest"] != digest(made["packages"]):
        return f"the compiled core is older than its sources and not used: {MEND}"
    sys.meta_path.insert(0, Finder(made["modules"]))
    return ""


def digest(packages: Iterable[str]) -> str:
    """Return the digest of all sources of these packages and of the interpreter version.

    A checkout, with packages in several folders, and an installed wheel have the same digest.
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
    """Return the folder from which Python imports `flowmesh.<package>`."""
    import flowmesh

    folders = [Path(folder, package) for folder in flowmesh.__path__]
    return next((folder for folder in folders if folder.is_dir()), folders[0])
