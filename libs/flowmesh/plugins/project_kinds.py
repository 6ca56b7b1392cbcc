"""The files of a new plugin that differ by its kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Parts:
    """Files by path; imports and functions of the test."""

    files: Mapping[str, str]
    imports: str
    tests: str


_TASK_MANIFEST: Final = """name = "{name}"
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
_TASK_IMPORTS: Final = """from pathlib import Path

from {package}.tasks import greet, self_test
"""
_TASK_TESTS: Final = """def test_a_person_is_greeted() -> None:
    assert greet({"name": "Ada"}) == {"text": "Hello, Ada!"}


def test_the_self_test_passes() -> None:
    self_test()


"""
_CONNECTOR_MANIFEST: Final = """name = "{name}"
version = "0.1.0"
kind = "connector"
summary = "Talk to a server over a connection that stays open."
flowmesh = ">=0.2"

# `open` gets the credential of a task, or an empty text.
[connection]
open = "{package}.tasks:connect"
close = "{package}.tasks:close"

# Handlers by task type; each gets the connection and its input.
[tasks]
"{name}.send" = "{package}.tasks:send"

[permissions]
connect = ["{{host}}:{{port}}"]

[configuration]
type = "object"
required = ["host", "port"]
additionalProperties = false

[configuration.properties.host]
type = "string"

[configuration.properties.port]
type = "integer"
"""
_CONNECTOR_TASKS: Final = '''"""The connection of the plugin, and its tasks."""

import socket

from flowmesh.plugins import configuration


def connect(credential: str) -> socket.socket:
    """Return an open connection."""
    settings = configuration()
    return socket.create_connection((settings["host"], settings["port"]), 5)


def close(connection: socket.socket) -> None:
    connection.close()


def send(connection: socket.socket, input: dict) -> dict:
    """Send a line; return the answer. An exception closes the connection."""
    connection.sendall(input["line"].encode() + b"\\n")
    return {{"answer": connection.recv(4096).decode()}}
'''
_CONNECTOR_IMPORTS: Final = """import socket
from pathlib import Path

from {package}.tasks import send
"""
_CONNECTOR_TESTS: Final = """def test_a_line_is_answered() -> None:
    own, other = socket.socketpair()
    with own, other:
        other.sendall(b"welcome")
        assert send(own, {"line": "hello"}) == {"answer": "welcome"}
        assert other.recv(100) == b"hello\\n"


"""
_MODULE_MANIFEST: Final = """name = "{name}"
version = "0.1.0"
kind = "module-type"
summary = "Add a tax to prices."
flowmesh = ">=0.2"
self_test = "{package}.module:self_test"

# Gets the input of a call and the module. It has no files and no network.
[module]
function = "{package}.module:call"

# JSON Schema of `config` in `type: plugin:{name}` of an application.
[module.config]
type = "object"
required = ["percent"]
additionalProperties = false
properties.percent = {{ type = "number", minimum = 0 }}

# Endpoints that `module.http` may call; {{key}} is a value of the configuration.
[permissions]
connect = []
"""
_MODULE: Final = '''"""The module type of the plugin."""

from types import SimpleNamespace


def call(input: dict, module) -> dict:
    """Return a price with its tax; `module.config` is the one of the application."""
    tax = round(input["net"] * module.config["percent"] / 100)
    return {{"net": input["net"], "tax": tax, "gross": input["net"] + tax}}


def self_test() -> None:
    """Raise if the function does not work; an installation that fails here is refused."""
    call({{"net": 100}}, SimpleNamespace(config={{"percent": 19}}))
'''
_MODULE_IMPORTS: Final = """from pathlib import Path
from types import SimpleNamespace

from {package}.module import call, self_test
"""
_MODULE_TESTS: Final = """def test_a_price_gets_its_tax() -> None:
    module = SimpleNamespace(config={"percent": 7})
    assert call({"net": 200}, module) == {"net": 200, "tax": 14, "gross": 214}


def test_the_self_test_passes() -> None:
    self_test()


"""
_FORMAT_MANIFEST: Final = """name = "{name}"
version = "0.1.0"
kind = "format"
summary = "Read workflows from lines of steps."
flowmesh = ">=0.2"
self_test = "{package}.reader:self_test"

# Gets a text; returns a native document, or a list of them. It has no files and no network.
[format]
reader = "{package}.reader:read"
"""
_FORMAT_READER: Final = '''"""A reader of words: the name of a workflow, then its built-in tasks."""


def read(text: str) -> dict:
    """Return a workflow whose tasks follow one another."""
    name, *lines = text.split()
    tasks = [{{"id": f"step-{{n}}", "taskRef": each}} for n, each in enumerate(lines, 1)]
    for before, task in zip(tasks, tasks[1:]):
        task["dependsOn"] = [before["id"]]
    return {{
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {{"name": name}},
        "spec": {{"tasks": tasks}},
    }}


def self_test() -> None:
    """Raise if the reader does not work; an installation that fails here is refused."""
    read("welcome noop")
'''
_FORMAT_IMPORTS: Final = """from pathlib import Path

from {package}.reader import read, self_test
"""
_FORMAT_TESTS: Final = """def test_tasks_follow_one_another() -> None:
    tasks = read("welcome noop noop")["spec"]["tasks"]
    assert tasks[1] == {"id": "step-2", "taskRef": "noop", "dependsOn": ["step-1"]}


def test_the_self_test_passes() -> None:
    self_test()


"""
_TRANSFORM_MANIFEST: Final = """name = "{name}"
version = "0.1.0"
kind = "transform"
summary = "Write names with capitals."
flowmesh = ">=0.2"
self_test = "{package}.functions:self_test"

# Definitions call it as `plugin:{name}`. It has no files and no network.
[transform]
function = "{package}.functions:transform"
"""
_TRANSFORM_FUNCTION: Final = '''"""The function of the plugin."""


def transform(value: dict) -> dict:
    """Return the input of a task with its name in capitals."""
    return {{**value, "name": value["name"].title()}}


def self_test() -> None:
    """Raise if the function does not work; an upgrade that fails here is refused."""
    transform({{"name": "ada"}})
'''
_TRANSFORM_IMPORTS: Final = """from pathlib import Path

from {package}.functions import self_test, transform
"""
_TRANSFORM_TESTS: Final = """def test_a_name_gets_capitals() -> None:
    given = {"name": "ada lovelace", "id": 1}
    assert transform(given) == {"name": "Ada Lovelace", "id": 1}


def test_the_self_test_passes() -> None:
    self_test()


"""
_LOGIN_MANIFEST: Final = """name = "{name}"
version = "0.1.0"
kind = "login"
summary = "Find the teams of a user in the groups of its directory."
flowmesh = ">=0.2"
self_test = "{package}.claims:self_test"

# An identity provider names it as its hook. It has no files and no network.
[login]
function = "{package}.claims:claims"
"""
_LOGIN_CLAIMS: Final = '''"""The claims that the plugin adds to a login."""


def claims(given: dict) -> dict:
    """Return the claim `hook`: a rule of the provider reads `hook.teams`. An error refuses it."""
    groups = given.get("groups", [])
    return {{"teams": [each.removeprefix("team-") for each in groups if each.startswith("team-")]}}


def self_test() -> None:
    """Raise if the function does not work; an upgrade that fails here is refused."""
    claims({{"groups": ["team-build"]}})
'''
_LOGIN_IMPORTS: Final = """from pathlib import Path

from {package}.claims import claims, self_test
"""
_LOGIN_TESTS: Final = """def test_groups_become_teams() -> None:
    assert claims({"groups": ["team-build", "printers"]}) == {"teams": ["build"]}
    assert claims({}) == {"teams": []}


def test_the_self_test_passes() -> None:
    self_test()


"""
_PANEL_MANIFEST: Final = """name = "{name}"
version = "0.1.0"
kind = "panel"
summary = "Show the status of an execution."
flowmesh = ">=0.2"

[panel]
title = "{name}"
page = "{package}/page.html"
places = ["execution"]

# Reads of the console with the rights of its user: execution, history, state, workflow.
[permissions]
read = ["execution"]
"""
_PANEL_PAGE: Final = """<!doctype html>
<html lang="en">
<title>{name}</title>
<p id="status">Reading the execution</p>
<script>
const send = (message) => parent.postMessage({{ flowmesh: 1, ...message }}, "*");
addEventListener("message", ({{ source, data }}) => {{
  if (source !== parent || data?.flowmesh !== 1) return;
  if (data.type === "shown") send({{ type: "read", id: 1, read: "execution" }});
  const text = {{ value: data.value?.status, refused: data.problem }}[data.type];
  if (text) document.getElementById("status").textContent = text;
}});
send({{ type: "hello" }});
</script>
</html>
"""
PROJECTS: Final[Mapping[str, Parts]] = {
    "task": Parts(
        {"plugin.toml": _TASK_MANIFEST, "{package}/tasks.py": _TASKS},
        _TASK_IMPORTS,
        _TASK_TESTS,
    ),
    "connector": Parts(
        {"plugin.toml": _CONNECTOR_MANIFEST, "{package}/tasks.py": _CONNECTOR_TASKS},
        _CONNECTOR_IMPORTS,
        _CONNECTOR_TESTS,
    ),
    "module-type": Parts(
        {"plugin.toml": _MODULE_MANIFEST, "{package}/module.py": _MODULE},
        _MODULE_IMPORTS,
        _MODULE_TESTS,
    ),
    "format": Parts(
        {"plugin.toml": _FORMAT_MANIFEST, "{package}/reader.py": _FORMAT_READER},
        _FORMAT_IMPORTS,
        _FORMAT_TESTS,
    ),
    "transform": Parts(
        {"plugin.toml": _TRANSFORM_MANIFEST, "{package}/functions.py": _TRANSFORM_FUNCTION},
        _TRANSFORM_IMPORTS,
        _TRANSFORM_TESTS,
    ),
    "login": Parts(
        {"plugin.toml": _LOGIN_MANIFEST, "{package}/claims.py": _LOGIN_CLAIMS},
        _LOGIN_IMPORTS,
        _LOGIN_TESTS,
    ),
    "panel": Parts(
        {"plugin.toml": _PANEL_MANIFEST, "{package}/page.html": _PANEL_PAGE},
        "from pathlib import Path\n",
        "",
    ),
}
