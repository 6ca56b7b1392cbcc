"""The project of a new plugin, with a test."""

from pathlib import Path
from typing import Final

import msgspec

from flowmesh.errors import Conflict
from flowmesh.plugins.manifest import Name, check_kind, invalid
from flowmesh.plugins.project_kinds import PROJECTS

_TEST: Final = '''"""Tests of the plugin; run them with `python -m pytest`."""

{imports}
from flowmesh.plugins.wheels import build


{tests}def test_the_project_makes_a_wheel() -> None:
    manifest, _ = build(Path(__file__).parents[1])
    assert manifest.name == "{name}"
'''
_README: Final = """# {name}

```console
$ python -m pytest
$ flowmesh plugin build
```
"""
_FILES: Final = {
    "README.md": _README,
    "{package}/__init__.py": '"""The plugin {name}."""\n',
    "tests/conftest.py": '"""The package of the plugin is found from its tests."""\n\n'
    "import sys\nfrom pathlib import Path\n\n"
    "sys.path.insert(0, str(Path(__file__).parents[1]))\n",
    "tests/test_{package}.py": _TEST,
}


def write_project(folder: Path, name: str, kind: str = "task") -> list[Path]:
    """Write the files of a new plugin; return them. Raises PLUGIN_INVALID and PLUGIN_EXISTS."""
    check_kind(kind)
    try:
        package = msgspec.convert(name, Name).replace("-", "_")
    except msgspec.ValidationError as error:
        raise invalid("name", str(error)) from None
    parts = PROJECTS[kind]
    words = {"name": name, "package": package}
    test = {"imports": parts.imports.format(**words), "tests": parts.tests}
    files = {
        path.format(**words): text.format(**words, **test)
        for path, text in {**parts.files, **_FILES}.items()
    }
    if folder.exists() and any(folder.iterdir()):
        raise Conflict("PLUGIN_EXISTS", f"the folder {folder} is not empty")
    written = []
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        written.append(file)
    return written
