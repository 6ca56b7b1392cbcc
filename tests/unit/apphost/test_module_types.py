"""Bounds of the plugins that a release names."""

import pytest

from flowmesh.apphost import limits
from flowmesh.apphost.running.module_types import ModuleTypes
from flowmesh.apphost.storage.records import Content
from flowmesh.errors import FlowmeshError
from tests.unit.apphost.plugins import module_types

KEY = ("default", "shop")


def content(*names: str) -> Content:
    document = "\n".join(f"- type: plugin:{name}" for name in names)
    return Content(document=document, files={}, environment={})


async def refusal(types: ModuleTypes, given: Content) -> str:
    with pytest.raises(FlowmeshError) as caught:
        await types.of(KEY, given)
    assert caught.value.reason == "RELEASE_REFUSED"
    return caught.value.message


async def test_plugins_of_a_release_are_bounded() -> None:
    """The last one is found, and one more is refused before any is asked for."""
    names = [f"p{number}" for number in range(limits.PLUGINS_MAX)]
    types = module_types(dict.fromkeys(names, ""))
    assert list(await types.of(KEY, content(*names))) == sorted(names)
    refused = await refusal(types, content(*names, "more"))
    assert refused == "a release names at most 20 plugins, not 21"


async def test_their_modules_are_bounded() -> None:
    """All plugins together; the last byte fits."""
    half = limits.PLUGINS_BYTES_MAX // 2
    types = module_types({"a": "x" * half, "b": "x" * half, "c": "x"})
    assert len(await types.of(KEY, content("a", "b"))) == 2
    refused = await refusal(types, content("a", "b", "c"))
    assert refused == "the modules of the plugins of a release have at most 1 MiB together"
