"""The project of a new plugin, with a test."""

from pathlib import Path
from typing import Final

from flowmesh.errors import Conflict
from flowmesh.plugins.manifest import manifest_of

_MANIFEST: Final = """name = "{name}"
version = "0.1.0"
kind = "task"
summary = "Greet somebody."
# Versions of Flowmesh, such as ">=0.2,<1".
flowmesh = ">=0.2"
self_test = "{package}.tasks:self_test"

# Handlers by task type.
[tasks]
"{name}.greet" = "{package}.tasks:greet"

# Endpoints and secrets; {{key}} is a value of the configuration.
[permissions]
connect = []
secrets = []

# JSON Schema of the configuration.
[configuration]
type = "object"
additionalProperties = false

[configuration.properties.greeting]
type = "string"
default = "Hello"
"""
_TASKS: Final = '''"""Tasks of the plugin."""

from flowmesh.plugins import configuration


def greet(input: dict) -> dict:
    """Return a greeting."""
    greeting = configuration().get("greeting", "Hello")
    return {{"text": f"{{greeting}}, {{input['name']}}!"}}


def self_test() -> None:
    """Raise if the plugin cannot work; an upgrade that fails here is taken back."""
    greet({{"name": "test"}})
'''
_TEST: Final = '''"""Tests of the plugin; run them with `python -m pytest`."""

from pathlib import Path

from {package}.tasks import greet, self_test

from flowmesh.plugins.wheels import build


def test_a_person_is_greeted() -> None:
    assert greet({{"name": "Ada"}}) == {{"text": "Hello, Ada!"}}


def test_the_self_test_passes() -> None:
    self_test()


def test_the_project_makes_a_wheel() -> None:
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
    "plugin.toml": _MANIFEST,
    "README.md": _README,
    "{package}/__init__.py": '"""The plugin {name}."""\n',
    "{package}/tasks.py": _TASKS,
    "tests/conftest.py": '"""The package of the plugin is found from its tests."""\n\n'
    "import sys\nfrom pathlib import Path\n\n"
    "sys.path.insert(0, str(Path(__file__).parents[1]))\n",
    "tests/test_tasks.py": _TEST,
}


def write_project(folder: Path, name: str, kind: str = "task") -> list[Path]:
    """Write the files of a new plugin; return them. Raises PLUGIN_INVALID and PLUGIN_EXISTS."""
    package = name.replace("-", "_")
    manifest_of(
        {
            "name": name,
            "version": "0.1.0",
            "kind": kind,
            "summary": "Checked.",
            "tasks": {"greet": f"{package}.tasks:greet"},
        }
    )
    if folder.exists() and any(folder.iterdir()):
        raise Conflict("PLUGIN_EXISTS", f"the folder {folder} is not empty")
    written = []
    for path, text in _FILES.items():
        file = folder / path.format(package=package)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(name=name, package=package), encoding="utf-8")
        written.append(file)
    return written
