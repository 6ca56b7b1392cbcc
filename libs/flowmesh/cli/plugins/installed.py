"""`plugin search|install|list|show|configure|upgrade|pin|read|remove`, in a namespace."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from flowmesh.api.fleet.v1 import plugin_pb2
from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceStub
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.arguments import Flag, JsonText, Texts
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.definitions.sources import file_text
from flowmesh.cli.refusals import Refused
from flowmesh.errors import WrongState

if TYPE_CHECKING:
    from flowmesh.sdk import Client

PluginName = Annotated[str, Parameter(help="Name of the plugin.")]
Configuration = Annotated[
    JsonText, Parameter(name=["--configuration", "-c"], help="Configuration in JSON.")
]
Accept = Annotated[
    Texts, Parameter(name="--accept", negative="", help="A permission that is granted.")
]
Yes = Annotated[bool, Parameter(negative="", help="Grant all permissions that it asks for.")]
Version = Annotated[str, Parameter(help="Version; by default the newest.")]
Wait = Annotated[bool, Parameter(negative="", help="Wait until its agents are ready, or fail.")]
AllProjects = Annotated[
    bool,
    Parameter(negative="", help="For all projects; needs the role admin in the installation."),
]
POLL_S: Final = 0.5
WAIT_S: Final = 90.0


@command
async def search(
    query: Annotated[str, Parameter(help="Words of name, summary or task types.")] = "",
    /,
    *,
    common: Common = COMMON,
) -> None:
    """Search the catalogue, with the permissions that each plugin asks for."""
    async with connected(common) as client:
        request = pb.SearchPluginsRequest(namespace=client.namespace, query=query)
        found = (await client.caller.call(_stub(client).SearchPlugins, request)).plugins
    output.table(
        found,
        _entry_document,
        "NAME VERSION KIND TASKS PERMISSIONS INSTALLED SUMMARY",
        none="The catalogue has no such plugin.",
        TASKS=lambda each: ", ".join(each.task_types),
        PERMISSIONS=lambda each: ", ".join(each.permissions) or "-",
        INSTALLED=lambda each: each.installed_version or "-",
    )


@command
async def install(
    name: PluginName,
    /,
    *,
    version: Version = "",
    configuration: Configuration = "",
    accept: Accept = None,
    yes: Yes = False,
    wait: Wait = False,
    all_projects: AllProjects = False,
    common: Common = COMMON,
) -> int:
    """Install a plugin from the catalogue; its permissions are shown before."""
    async with connected(common) as client:

        async def send(accepted: list[str]) -> plugin_pb2.Plugin:
            request = pb.InstallPluginRequest(
                namespace=client.namespace,
                name=name,
                version=version,
                configuration=configuration,
                accepted=accepted,
                all_projects=all_projects,
            )
            return _plugin(await client.caller.call(_stub(client).InstallPlugin, request))

        found = await _accepted(send, accept or [], yes=yes)
        return _shown(await _settled(client, found) if wait else found)


@command
async def list_plugins(*, common: Common = COMMON) -> None:
    """List the plugins of the namespace."""
    async with connected(common) as client:
        request = pb.ListPluginsRequest(namespace=client.namespace)
        found = (await client.caller.call(_stub(client).ListPlugins, request)).plugins
    output.table(
        found,
        _document,
        "NAME VERSION KIND FOR STATE READY PINNED TASKS PROBLEM",
        none="The namespace has no plugins.",
        FOR=_extent,
        STATE=_state,
        READY=lambda each: f"{each.ready}/{each.wanted}",
        PINNED=lambda each: "yes" if each.pinned else "-",
        TASKS=lambda each: ", ".join(each.task_types),
        PROBLEM=lambda each: each.problem[:120] or "-",
    )


@command
async def show(name: PluginName, /, *, common: Common = COMMON) -> None:
    """Show a plugin with its permissions and its configuration."""
    async with connected(common) as client:
        found = await _get(client, name)
    if common.structured:
        output.document(_document(found))
        return
    output.line(f"{name} {found.version}: {_state(found)}, {found.ready} of {found.wanted} agents")
    output.line(f"  {found.kind}, for {_extent(found)}")
    if found.task_types:
        output.line(f"  tasks {', '.join(found.task_types)}")
    for each in found.permissions:
        output.line(f"  may {each}")
    output.line(f"  configuration {found.configuration}")
    output.line(f"  sha256 {found.digest}{', pinned' if found.pinned else ''}")
    if found.problem:
        output.line(f"  {found.problem}")


@command
async def configure(
    name: PluginName,
    /,
    *,
    configuration: Configuration,
    accept: Accept = None,
    yes: Yes = False,
    wait: Wait = False,
    all_projects: AllProjects = False,
    common: Common = COMMON,
) -> int:
    """Replace the configuration of a plugin."""
    async with connected(common) as client:

        async def send(accepted: list[str]) -> plugin_pb2.Plugin:
            request = pb.ConfigurePluginRequest(
                namespace=client.namespace,
                name=name,
                configuration=configuration,
                accepted=accepted,
                all_projects=all_projects,
            )
            return _plugin(await client.caller.call(_stub(client).ConfigurePlugin, request))

        found = await _accepted(send, accept or [], yes=yes)
        return _shown(await _settled(client, found) if wait else found)


@command
async def upgrade(
    name: PluginName,
    /,
    *,
    version: Version = "",
    accept: Accept = None,
    yes: Yes = False,
    wait: Wait = False,
    all_projects: AllProjects = False,
    common: Common = COMMON,
) -> int:
    """Replace the version of a plugin; one that fails its self-test goes back."""
    async with connected(common) as client:

        async def send(accepted: list[str]) -> plugin_pb2.Plugin:
            request = pb.UpgradePluginRequest(
                namespace=client.namespace,
                name=name,
                version=version,
                accepted=accepted,
                all_projects=all_projects,
            )
            return _plugin(await client.caller.call(_stub(client).UpgradePlugin, request))

        found = await _accepted(send, accept or [], yes=yes)
        return _shown(await _settled(client, found) if wait else found)


@command
async def pin(
    name: PluginName,
    /,
    *,
    off: Flag = False,
    all_projects: AllProjects = False,
    common: Common = COMMON,
) -> int:
    """Refuse upgrades of a plugin.

    Args:
        off: Admit upgrades again.
    """
    async with connected(common) as client:
        request = pb.PinPluginRequest(
            namespace=client.namespace, name=name, pinned=not off, all_projects=all_projects
        )
        return _shown(_plugin(await client.caller.call(_stub(client).PinPlugin, request)))


@command
async def read_text(
    name: PluginName,
    file: Annotated[Path, Parameter(help="Text in the format.")],
    /,
    *,
    common: Common = COMMON,
) -> None:
    """Read native documents from a text by a format, and print them; nothing is stored."""
    text = file_text(file)
    async with connected(common) as client:
        request = pb.ReadTextRequest(namespace=client.namespace, name=name, text=text)
        answer = await client.caller.call(_stub(client).ReadText, request)
    documents = msgspec.json.decode(answer.documents)
    if common.structured:
        output.document(documents)
        return
    import yaml

    output.block(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True).rstrip())


@command
async def remove(
    name: PluginName, /, *, all_projects: AllProjects = False, common: Common = COMMON
) -> None:
    """Remove a plugin; refused while definitions use it."""
    async with connected(common) as client:
        request = pb.RemovePluginRequest(
            namespace=client.namespace, name=name, all_projects=all_projects
        )
        await client.caller.call(_stub(client).RemovePlugin, request)
    output.result({"name": name, "removed": True}, f"{name} is removed")


def _stub(client: "Client") -> Any:
    return PluginServiceStub(client.caller.channel)


def _plugin(answer: Any) -> plugin_pb2.Plugin:
    found: plugin_pb2.Plugin = answer.plugin
    return found


async def _get(client: "Client", name: str) -> plugin_pb2.Plugin:
    request = pb.GetPluginRequest(namespace=client.namespace, name=name)
    return _plugin(await client.caller.call(_stub(client).GetPlugin, request))


async def _accepted(
    send: Callable[[list[str]], Awaitable[plugin_pb2.Plugin]], accepted: list[str], *, yes: bool
) -> plugin_pb2.Plugin:
    """Send a change; show the permissions that it lacks, and ask for them."""
    try:
        return await send(accepted)
    except WrongState as error:
        if error.reason != "PLUGIN_NOT_ACCEPTED" or not (yes or sys.stdin.isatty()):
            raise
        missing = [each.description for each in error.violations]
    output.problem("It asks for these permissions:")
    for each in missing:
        output.problem(f"  {each}")
    if not yes:
        output.problem("Grant them? [y/N] ")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise Refused("not granted; nothing was changed")
    return await send([*accepted, *missing])


async def _settled(client: "Client", found: plugin_pb2.Plugin) -> plugin_pb2.Plugin:
    """Return the plugin once its agents are ready or have failed."""
    loop = asyncio.get_running_loop()
    until = loop.time() + WAIT_S
    while found.state == plugin_pb2.PLUGIN_STATE_STARTING:
        if loop.time() > until:
            text = f"{found.name} is not ready after {WAIT_S:.0f} s"
            raise Refused(text, f"`flowmesh plugin show {found.name}` shows its state")
        await asyncio.sleep(POLL_S)
        found = await _get(client, found.name)
    return found


def _shown(found: plugin_pb2.Plugin) -> int:
    problem = f": {found.problem}" if found.problem else ""
    text = f"{found.name} {found.version}: {_state(found)}{problem}"
    output.result(_document(found), text)
    bad = (plugin_pb2.PLUGIN_STATE_WENT_BACK, plugin_pb2.PLUGIN_STATE_FAILED)
    return exit_codes.FAILED if found.state in bad else exit_codes.DONE


def _extent(found: plugin_pb2.Plugin) -> str:
    return "all projects" if found.all_projects else "this project"


def _state(found: plugin_pb2.Plugin) -> str:
    name = plugin_pb2.PluginState.Name(found.state)
    return name.removeprefix("PLUGIN_STATE_").lower()


def _document(found: plugin_pb2.Plugin) -> dict[str, Any]:
    return {
        **document_of(found),
        "state": _state(found),
        "configuration": msgspec.json.decode(found.configuration),
        "configurationSchema": msgspec.json.decode(found.configuration_schema),
    }


def _entry_document(found: plugin_pb2.CataloguePlugin) -> dict[str, Any]:
    schema = msgspec.json.decode(found.configuration_schema)
    return {**document_of(found), "configurationSchema": schema}
