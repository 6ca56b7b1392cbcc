"""Puts the sources of this repository, and the command `flowmesh`, into the environment.

An editable install would need its build tools and hides a namespace of several folders behind
an import hook that type checkers cannot follow; three lines in a `.pth` file do the same.
A fourth lets what `make compile` made, if it did, go before its sources.
"""

import stat
import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("gen/python", "libs", "services")
CORE = "import flowmesh.core; flowmesh.core.install()\n"

SCRIPT = """\
#!{python}
import sys

from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    site = Path(sysconfig.get_path("purelib"))
    paths = "".join(f"{ROOT / source}\n" for source in SOURCES)
    (site / "flowmesh-dev.pth").write_text(paths + CORE)
    for name, entry in project["scripts"].items():
        module, function = entry.split(":")
        script = Path(sysconfig.get_path("scripts")) / name
        text = SCRIPT.format(python=sys.executable, module=module, function=function)
        script.write_text(text)
        script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


if __name__ == "__main__":
    main()
