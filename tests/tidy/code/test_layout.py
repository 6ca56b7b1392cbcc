"""The layout that imports and the import table rely on."""

import re
import tomllib
from collections import Counter
from pathlib import Path

from tests.tidy import sources

ROOTS = ("gen/python/flowmesh", "libs/flowmesh", "services/flowmesh")


def _packages(root: str) -> list[str]:
    base = sources.ROOT / root
    return sorted(path.name for path in base.iterdir() if (path / "__init__.py").is_file())


def test_the_namespace_has_no_owner() -> None:
    """`flowmesh` is a namespace of three folders: none of them has an __init__.py of its own."""
    assert [root for root in ROOTS if (sources.ROOT / root / "__init__.py").exists()] == []


def test_every_package_says_so() -> None:
    """A folder of modules without __init__.py would be skipped by the import table in silence."""
    folders = {Path(name).parent for name in sources.tracked() if name.endswith(".py")}
    silent = [
        folder.as_posix()
        for folder in sorted(folders)
        if folder.as_posix().startswith(tuple(f"{root}/" for root in ROOTS))
        if not (sources.ROOT / folder / "__init__.py").is_file()
    ]
    assert not silent, sources.lines(silent)


def test_the_layers_name_every_package() -> None:
    """Each library and each service stands in the layers of pyproject.toml."""
    table = tomllib.loads(sources.text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layered = {name for layer in table[0]["layers"] for name in re.findall(r"\w+", layer)}
    ours = {*_packages("libs/flowmesh"), *_packages("services/flowmesh")}
    assert layered - {"api", "console", "keda", "sdk_sync"} == ours


FOLDER_FILES_MAX = 20


def test_folders_are_small() -> None:
    """A folder of the product holds at most 20 modules; a larger one has packages inside it."""
    counts = Counter(
        Path(name).parent.as_posix()
        for name in sources.tracked()
        if name.endswith(".py") and name.startswith(tuple(f"{root}/" for root in ROOTS[1:]))
    )
    crowded = [f"{name}: {n} files" for name, n in counts.items() if n > FOLDER_FILES_MAX]
    assert not crowded, sources.lines(crowded)
