"""Plugins of a project that moves, installed from the catalogue of the target."""

from flowmesh.api.fleet.v1 import fleet_service_pb2 as fleet_pb
from flowmesh.api.fleet.v1 import plugin_pb2
from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import FleetServiceStub
from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceStub
from flowmesh.cells import Move
from flowmesh.errors import WrongState
from flowmesh.plugins.manifest import AGENTS
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.parts import Part

PLUGINS = "plugins"
"""The owner of the specs of plugins."""


class Plugins(Part):
    """The same versions with their configurations and permissions."""

    async def problems(self, move: Move) -> list[str]:
        """Return the plugins that the target cannot install."""
        here, name = await _listed(self._source), self._target.cell.name
        if not here:
            return []
        there, digests = await _listed(self._target), await self._catalogue()
        shared = {each.name for each in there.values() if each.all_projects}
        return [
            f"the plugin {each.name} {each.version}, which cell {name} does not have"
            for each in here.values()
            if each.name not in shared
            and (each.all_projects or digests.get((each.name, each.version)) != each.digest)
        ]

    async def copy(self) -> None:
        """Install those that run in services of the target."""
        await self._install(with_agents=False)

    async def switch(self, move: Move) -> None:
        await self._install(with_agents=False)

    async def start(self, move: Move) -> None:
        """Install those that run as agents, with as many as at the source."""
        await self._install(with_agents=True)
        present = await _replicas(self._target)
        for spec, replicas in (await _replicas(self._source)).items():
            if present.get(spec, replicas) != replicas:
                await _scale(self._target, spec, replicas)

    async def end(self) -> None:
        """End the agents of the source; its definitions, which stay, still name the plugins."""
        for spec, replicas in (await _replicas(self._source)).items():
            if replicas:
                await _scale(self._source, spec, 0)

    async def _install(self, *, with_agents: bool) -> None:
        there = await _listed(self._target)
        for name, plugin in (await _listed(self._source)).items():
            if not plugin.all_projects and with_agents == (plugin.kind in AGENTS):
                await self._make_same(plugin, there.get(name))

    async def _make_same(self, plugin: plugin_pb2.Plugin, former: plugin_pb2.Plugin | None) -> None:
        """Install a plugin at the target, unless it has the version for all projects."""
        if former is not None and former.all_projects:
            return
        stub, name = PluginServiceStub(self._target.channel), plugin.name
        accepted, configuration = list(plugin.permissions), plugin.configuration
        if former is None:
            install = pb.InstallPluginRequest(
                name=name, version=plugin.version, configuration=configuration, accepted=accepted
            )
            await self._target.call(stub.InstallPlugin, install)
            former = plugin
            self._route.report(f"installed plugin {name} {plugin.version}")
        if former.pinned and former.version != plugin.version:
            unpin = pb.PinPluginRequest(name=name, pinned=False)
            await self._target.call(stub.PinPlugin, unpin)
        if former.version != plugin.version:
            upgrade = pb.UpgradePluginRequest(name=name, version=plugin.version, accepted=accepted)
            await self._target.call(stub.UpgradePlugin, upgrade)
        if former.configuration != configuration:
            change = pb.ConfigurePluginRequest(
                name=name, configuration=configuration, accepted=accepted
            )
            await self._target.call(stub.ConfigurePlugin, change)
        pin = pb.PinPluginRequest(name=name, pinned=plugin.pinned)
        await self._target.call(stub.PinPlugin, pin)

    async def _catalogue(self) -> dict[tuple[str, str], str]:
        """Return the digests of the catalogue of the target; empty without one."""
        stub = PluginServiceStub(self._target.channel)
        try:
            found = await self._target.call(stub.SearchPlugins, pb.SearchPluginsRequest())
        except WrongState:
            return {}
        return {(each.name, each.version): each.digest for each in found.plugins}


async def _listed(calls: CellCalls) -> dict[str, plugin_pb2.Plugin]:
    stub = PluginServiceStub(calls.channel)
    found = await calls.call(stub.ListPlugins, pb.ListPluginsRequest())
    return {each.name: each for each in found.plugins}


async def _replicas(calls: CellCalls) -> dict[str, int]:
    """Return the number of agents of each spec of a plugin."""
    stub = FleetServiceStub(calls.channel)
    found = await calls.call(stub.ListAgentSpecs, fleet_pb.ListAgentSpecsRequest())
    return {each.spec.spec: each.spec.replicas for each in found.specs if each.owner == PLUGINS}


async def _scale(calls: CellCalls, spec: str, replicas: int) -> None:
    stub = FleetServiceStub(calls.channel)
    await calls.call(stub.ScaleAgents, fleet_pb.ScaleAgentsRequest(spec=spec, replicas=replicas))
