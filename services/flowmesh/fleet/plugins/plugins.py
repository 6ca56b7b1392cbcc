"""Plugins as callers search, install and change them; the fleet runs their agents."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from flowmesh.access.owners import Owner
from flowmesh.api.fleet.v1 import agent_pb2, plugin_pb2
from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.contract.nouns import counted
from flowmesh.errors import Conflict, FlowmeshError, NotFound, Violation, WrongState
from flowmesh.fleet.fleet import Fleet
from flowmesh.fleet.plugins import specs
from flowmesh.fleet.plugins.reading import Reader
from flowmesh.fleet.plugins.usage import Usage
from flowmesh.fleet.storage.pins import PinStore
from flowmesh.fleet.storage.records import SpecRow
from flowmesh.fleet.storage.store import FleetStore
from flowmesh.plugins.catalogue import Catalogue, Entry
from flowmesh.plugins.manifest import (
    AGENTS,
    Manifest,
    Permissions,
    check_runs_on,
    configured,
    granted,
    words_of,
)
from flowmesh.telemetry.export import VERSION

_OWNER: Final = Owner(specs.OWNER)
_NAMED_MAX: Final = 20
# The users of plugins that no definition uses.
_USERS: Final = {"login": "provider", "module-type": "application"}


class Plugins:
    """Installs what a trusted key signed and a caller accepted."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        store: FleetStore,
        pins: PinStore,
        catalogue: Catalogue,
        usage: Usage,
        reader: Reader,
    ) -> None:
        self._fleet, self._store, self._pins = fleet, store, pins
        self._catalogue, self._usage, self._reader = catalogue, usage, reader

    async def search(self, namespace: str, query: str) -> list[plugin_pb2.CataloguePlugin]:
        """Return the versions of the catalogue that have all words of a query."""
        words = query.lower().split()
        present = {each.name: each.version for each in await self.list(namespace)}
        return [
            _catalogue_message(each, present.get(each.manifest.name, ""))
            for each in await self._catalogue.entries()
            if all(word in _searched(each) for word in words)
        ]

    async def list(self, namespace: str) -> list[plugin_pb2.Plugin]:
        """Return the plugins of a namespace by name, with those of all projects."""
        found: dict[str, plugin_pb2.Plugin] = {}
        for place in (specs.EVERYWHERE, namespace):
            pinned = await self._pins.pinned(place)
            for row in await self._store.specs(place):
                if row.owner == specs.OWNER:
                    name = specs.manifest_in(row).name
                    found[name] = specs.plugin_message(row, pinned=name in pinned)
        return [found[name] for name in sorted(found)]

    async def get(self, namespace: str, name: str) -> plugin_pb2.Plugin:
        row = await self._row(namespace, name)
        pinned = name in await self._pins.pinned(row.namespace)
        return specs.plugin_message(row, pinned=pinned)

    async def function(
        self, namespace: str, name: str, kind: str, digest: str, *, new_use: bool
    ) -> pb.GetPluginFunctionResponse:
        """Return the function of a plugin of a kind, with modules unless the digest is theirs.

        For a new use, one that is being removed is not found.
        """
        row = await self._of_kind(namespace, name, kind)
        if new_use and await self._pins.is_being_removed(row.namespace, name):
            raise NotFound("PLUGIN_NOT_FOUND", f"{name} is being removed")
        found = specs.function_in(row)
        is_known = digest == specs.digest_in(row)
        return pb.GetPluginFunctionResponse(
            digest=specs.digest_in(row),
            handler=found.handler,
            modules={} if is_known else found.modules,
            module_type=specs.module_type_in(row),
            settings=msgspec.json.encode(found.settings).decode(),
        )

    async def page(self, namespace: str, name: str) -> str:
        """Return the HTML page of a panel."""
        return specs.page_in(await self._of_kind(namespace, name, "panel"))

    async def read(self, namespace: str, name: str, text: str) -> str:
        """Return the native documents that a format reads from a text, as JSON."""
        row = await self._of_kind(namespace, name, "format")
        return await self._reader.read(name, specs.function_in(row), text)

    async def install(
        self,
        namespace: str,
        name: str,
        version: str,
        configuration: str,
        accepted: Collection[str],
    ) -> plugin_pb2.Plugin:
        """Install a version of a plugin that the namespace does not have."""
        if await self._found(namespace, name) is not None:
            text = f"{name} is installed; upgrade or configure it instead"
            raise Conflict("PLUGIN_EXISTS", text)
        entry = await self._catalogue.find(name, version)
        _check_place(namespace, entry)
        spec = await self._spec(entry, configuration, accepted)
        return await self._apply(namespace, entry, spec)

    async def upgrade(
        self, namespace: str, name: str, version: str, accepted: Collection[str]
    ) -> plugin_pb2.Plugin:
        """Replace the version of a plugin; it keeps its configuration and its permissions."""
        row = await self._own(namespace, name)
        if name in await self._pins.pinned(namespace):
            text = f"{name} is pinned to {specs.manifest_in(row).version}; unpin it first"
            raise WrongState("PLUGIN_PINNED", text)
        entry = await self._catalogue.find(name, version)
        _check_place(namespace, entry)
        _check_kind(row, entry)
        has = {*accepted, *specs.granted_in(row)}
        spec = await self._spec(entry, specs.configuration_in(row), has, row.replicas)
        misfits = await self._usage.misfits(namespace, entry.manifest)
        if misfits:
            text = f"{name} {entry.manifest.version} does not fit {_listed(misfits)}"
            raise WrongState("PLUGIN_IN_USE", text)
        return await self._apply(namespace, entry, spec)

    async def configure(
        self, namespace: str, name: str, configuration: str, accepted: Collection[str]
    ) -> plugin_pb2.Plugin:
        """Replace the configuration of a plugin."""
        row = await self._own(namespace, name)
        manifest = specs.manifest_in(row)
        values = await asyncio.to_thread(configured, manifest, configuration)
        permissions = granted(manifest, values)
        _check_accepted(name, permissions, {*accepted, *specs.granted_in(row)})
        await self._fleet.apply(namespace, specs.reconfigured(row, values, permissions), _OWNER)
        return await self.get(namespace, name)

    async def pin(self, namespace: str, name: str, *, pinned: bool) -> plugin_pb2.Plugin:
        """Refuse upgrades of a plugin, or admit them again."""
        await self._own(namespace, name)
        await self._pins.pin(namespace, name, pinned=pinned)
        return await self.get(namespace, name)

    async def remove(self, namespace: str, name: str) -> None:
        """Remove a plugin that nothing uses."""
        row = await self._own(namespace, name)
        manifest = specs.manifest_in(row)
        if not await self._pins.begin_removal(namespace, name, manifest.version):
            raise WrongState("PLUGIN_IN_USE", f"{name} is being removed by another call")
        try:
            await self._check_unused(namespace, manifest)
        except BaseException:
            await self._pins.end_removal(namespace, name)
            raise
        await self._fleet.delete(namespace, row.spec, _OWNER, stop_agents=True)
        await self._pins.remove(namespace, name)

    async def _check_unused(self, namespace: str, manifest: Manifest) -> None:
        """Raise PLUGIN_IN_USE with the users of a plugin."""
        users = await self._usage.of(namespace, manifest)
        if users:
            used = counted(len(users), _USERS.get(manifest.kind, "definition"))
            text = f"{manifest.name} is used by {used}: {_listed(users)}"
            raise WrongState("PLUGIN_IN_USE", text)

    async def _found(self, namespace: str, name: str) -> SpecRow | None:
        """Return the plugin of a namespace, or else that of all projects."""
        for place in (namespace, specs.EVERYWHERE):
            found = await self._store.spec((place, specs.spec_name(name)))
            if found is not None and not found.deleted and found.owner == specs.OWNER:
                return found
        return None

    async def _row(self, namespace: str, name: str) -> SpecRow:
        found = await self._found(namespace, name)
        if found is None:
            raise NotFound("PLUGIN_NOT_FOUND", f"the namespace has no plugin {name[:80]!r}")
        return found

    async def _own(self, namespace: str, name: str) -> SpecRow:
        """Return a plugin that a request about the namespace may change."""
        found = await self._row(namespace, name)
        if found.namespace != namespace:
            text = f"{name} is installed for all projects; an admin of the installation changes it"
            raise WrongState("PLUGIN_SHARED", text)
        return found

    async def _of_kind(self, namespace: str, name: str, kind: str) -> SpecRow:
        found = await self._row(namespace, name)
        if specs.manifest_in(found).kind != kind:
            raise NotFound("PLUGIN_NOT_FOUND", f"{name} is installed, and is no {kind[:20]}")
        return found

    async def _spec(
        self, entry: Entry, configuration: str, accepted: Collection[str], replicas: int = 1
    ) -> agent_pb2.AgentSpec:
        """Return the spec of a version within accepted permissions."""
        check_runs_on(entry.manifest, VERSION)
        wheel = await self._catalogue.wheel(entry)
        values = await asyncio.to_thread(configured, wheel.manifest, configuration)
        permissions = granted(wheel.manifest, values)
        _check_accepted(wheel.manifest.name, permissions, accepted)
        await self._reader.test(wheel.manifest, wheel.modules)
        return specs.spec_of(wheel, values, permissions, replicas)

    async def _apply(
        self, namespace: str, entry: Entry, spec: agent_pb2.AgentSpec
    ) -> plugin_pb2.Plugin:
        for other in await self.list(namespace):
            taken = set(other.task_types) & set(spec.task_types)
            if taken and other.name != entry.manifest.name:
                text = f"{other.name}, which is installed, has the task type {min(taken)} too"
                raise Conflict("PLUGIN_EXISTS", text)
        await self._fleet.apply(namespace, spec, _OWNER)
        await self._pins.put(namespace, entry.manifest.name, entry.manifest.version)
        return await self.get(namespace, entry.manifest.name)


def _check_place(namespace: str, entry: Entry) -> None:
    """Raise PLUGIN_SHARED for agents of all projects, and for logins of one."""
    name, kind = entry.manifest.name, entry.manifest.kind
    if namespace != specs.EVERYWHERE and kind == "login":
        text = f"{name} is of the kind login, and a login is of no project"
        raise WrongState("PLUGIN_SHARED", f"{text}; install it for all projects")
    if namespace == specs.EVERYWHERE and kind in AGENTS:
        text = f"{name} is of the kind {kind}: its processes and secrets are those of one project"
        raise WrongState("PLUGIN_SHARED", f"{text}; install it in each project that needs it")


def _check_kind(row: SpecRow, entry: Entry) -> None:
    """Raise PLUGIN_IN_USE for a version of another kind than the installed one."""
    present, manifest = specs.manifest_in(row), entry.manifest
    if manifest.kind != present.kind:
        text = f"{manifest.name} {manifest.version} is of the kind {manifest.kind}"
        installed = f"{present.version} of the kind {present.kind}, is installed"
        raise WrongState("PLUGIN_IN_USE", f"{text}, and {installed}; remove it first")


def _listed(texts: Sequence[str]) -> str:
    """Return the first of a list, and the number of the others."""
    more = len(texts) - _NAMED_MAX
    return ", ".join(texts[:_NAMED_MAX]) + (f", and {more} more" if more > 0 else "")


def _check_accepted(name: str, permissions: Permissions, accepted: Collection[str]) -> None:
    """Raise PLUGIN_NOT_ACCEPTED with each permission that a caller has not accepted."""
    missing = [each for each in words_of(permissions) if each not in accepted]
    if missing:
        reason = "PLUGIN_NOT_ACCEPTED"
        text = f"{name} asks for permissions that are not accepted: {', '.join(missing)}"
        violations = tuple(Violation("accepted", each, reason) for each in missing)
        raise WrongState(reason, text, violations=violations)


def _searched(entry: Entry) -> str:
    manifest = entry.manifest
    return " ".join((manifest.name, manifest.summary, *manifest.tasks)).lower()


def _catalogue_message(entry: Entry, present: str) -> plugin_pb2.CataloguePlugin:
    manifest = entry.manifest
    supported = True
    try:
        check_runs_on(manifest, VERSION)
    except FlowmeshError:
        supported = False
    return plugin_pb2.CataloguePlugin(
        name=manifest.name,
        version=manifest.version,
        kind=manifest.kind,
        summary=manifest.summary,
        flowmesh=manifest.flowmesh,
        supported=supported,
        task_types=sorted(manifest.tasks),
        permissions=words_of(manifest.permissions),
        configuration_schema=msgspec.json.encode(manifest.configuration).decode(),
        digest=entry.digest,
        installed_version=present,
    )
