"""The blocking client is generated from the async one and has the same surface."""

import inspect
import re
from importlib import import_module

import pytest

from flowmesh.sdk.client.alias import Alias
from tools import sync_client

# Public names that only one of the two forms has.
ASYNC_ONLY = {"Client": {"sync"}, "SessionCall": sync_client.INTERNAL["SessionCall"]}
SYNC_ONLY = {"Client": {"call", "iterate"}}


def test_the_generated_modules_are_fresh() -> None:
    """`python -m tools.sync_client` would change nothing."""
    target = sync_client.TARGET
    written = {
        path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*.py")
    }
    assert written == sync_client.modules(), 'stale: run "python -m tools.sync_client"'


@pytest.mark.parametrize("name", sorted(sync_client.HOME))
def test_both_forms_have_the_same_calls(name: str) -> None:
    """The public methods are equal in their names and in their parameters."""
    asynchronous = _calls(_class(name, ""))
    blocking = _calls(_class(name, "Sync"))
    for extra in ASYNC_ONLY.get(name, ()):
        del asynchronous[extra]
    for extra in SYNC_ONLY.get(name, ()):
        del blocking[extra]
    for attribute in sync_client.ATTRIBUTES.get(name, ()):
        blocking.pop(attribute, None)
    assert asynchronous == blocking
    assert asynchronous


def test_every_part_of_the_client_has_a_blocking_form() -> None:
    """A part that the generator does not know would be missing in the blocking client."""
    source = inspect.getsource(_class("Client", ""))
    parts = set(re.findall(r"self\.\w+ = (\w+Calls)\(", source))
    assert parts
    assert parts <= sync_client.HOME.keys()


@pytest.mark.parametrize("name", ["Client", "Handle"])
@pytest.mark.parametrize("form", ["", "Sync"])
def test_every_alias_leads_to_its_part(name: str, form: str) -> None:
    """The attribute that an alias names is of the class that defines the method."""
    whole = _class(name, form)
    source = inspect.getsource(whole)
    aliases = [each for each in vars(whole).values() if isinstance(each, Alias)]
    for alias in aliases:
        part = alias.method.__qualname__.partition(".")[0]
        assert f"self.{alias.part} = {part}(" in source
    assert aliases


def _class(name: str, form: str) -> type:
    module = sync_client.HOME[name]
    package = "flowmesh.sdk_sync" if form else sync_client.PACKAGE
    found: type = getattr(import_module(f"{package}.{module}"), form + name)
    return found


def _calls(owner: type) -> dict[str, list[inspect.Parameter]]:
    """The parameters of each public method, without their annotations."""
    return {
        name: [
            each.replace(annotation=inspect.Parameter.empty)
            for each in inspect.signature(member).parameters.values()
        ]
        for name, member in inspect.getmembers(owner)
        if not name.startswith("_") and callable(member)
    }
