"""The spec of the agents of a plugin, and the plugin of such a spec."""

from collections.abc import Mapping
from typing import Final

import msgspec

from flowmesh.api.fleet.v1 import agent_pb2, plugin_pb2, plugin_service_pb2
from flowmesh.contract.json_value import Json
from flowmesh.fleet.storage.records import SpecRow
from flowmesh.plugins.computing import Function
from flowmesh.plugins.manifest import AGENTS, Manifest, Permissions, words_of
from flowmesh.plugins.settings import CONFIGURATION_FILE, MANIFEST_FILE, MODULES
from flowmesh.plugins.wheels import Wheel

OWNER: Final = "plugins"
EVERYWHERE: Final = "*"
"""The namespace of plugins of all projects; no project has this name."""
_DIGEST: Final = "PLUGIN_DIGEST"
_MIB: Final = 1024 * 1024
# The bounds of one agent of a plugin.
_LIMITS: Final = agent_pb2.AgentLimits(
    cpu=1, memory_bytes=384 * _MIB, pids=64, files=256, disk_bytes=64 * _MIB
)
_SLOTS: Final = 8


def spec_name(plugin: str) -> str:
    """Return the name of the spec of a plugin."""
    return f"plugin-{plugin}"


def spec_of(
    wheel: Wheel, configuration: Mapping[str, Json], permissions: Permissions, replicas: int
) -> agent_pb2.AgentSpec:
    """Return the spec of agents that run a plugin within its permissions."""
    return _spec(wheel.manifest, wheel.modules, wheel.digest, configuration, permissions, replicas)


def reconfigured(
    row: SpecRow, configuration: Mapping[str, Json], permissions: Permissions
) -> agent_pb2.AgentSpec:
    """Return the spec of an installed plugin with another configuration."""
    manifest, modules, digest = manifest_in(row), modules_in(row), digest_in(row)
    return _spec(manifest, modules, digest, configuration, permissions, row.replicas)


def _spec(
    manifest: Manifest,
    modules: Mapping[str, str],
    digest: str,
    configuration: Mapping[str, Json],
    permissions: Permissions,
    replicas: int,
) -> agent_pb2.AgentSpec:
    files = {
        **{f"{MODULES}/{name}": text for name, text in modules.items()},
        MANIFEST_FILE: msgspec.json.encode(manifest).decode(),
        CONFIGURATION_FILE: msgspec.json.encode(configuration).decode(),
    }
    return agent_pb2.AgentSpec(
        spec=spec_name(manifest.name),
        command=("python", "-m", "flowmesh.plugins.host"),
        files=files,
        environment={_DIGEST: digest},
        task_types=sorted(manifest.tasks),
        slots=_SLOTS,
        replicas=max(replicas, 1) if manifest.kind in AGENTS else 0,
        limits=_LIMITS,
        isolation=agent_pb2.ISOLATION_SANDBOX,
        health=agent_pb2.AGENT_HEALTH_HEARTBEAT,
        secrets=permissions.secrets,
        connections=agent_pb2.AgentConnections(endpoints=permissions.connect),
    )


def manifest_in(row: SpecRow) -> Manifest:
    """Return the manifest of an installed plugin."""
    return msgspec.json.decode(row.content.files[MANIFEST_FILE].encode(), type=Manifest)


def configuration_in(row: SpecRow) -> str:
    """Return the configuration of an installed plugin, in JSON."""
    return row.content.files[CONFIGURATION_FILE]


def granted_in(row: SpecRow) -> list[str]:
    """Return the permissions that an installed plugin has, as words."""
    content = row.content
    has = Permissions(
        connect=tuple(content.connections.endpoints),
        secrets=tuple(content.secrets),
        read=manifest_in(row).permissions.read,
    )
    return words_of(has)


def modules_in(row: SpecRow) -> dict[str, str]:
    """Return the files of the wheel of an installed plugin."""
    start = f"{MODULES}/"
    return {
        name.removeprefix(start): text
        for name, text in row.content.files.items()
        if name.startswith(start)
    }


def digest_in(row: SpecRow) -> str:
    """Return the SHA-256 of the wheel of an installed plugin."""
    return row.content.environment[_DIGEST]


def function_in(row: SpecRow) -> Function:
    """Return the function of an installed plugin that runs in a confined process."""
    manifest = manifest_in(row)
    has_settings = manifest.has_configuration and manifest.module is None
    settings = msgspec.json.decode(configuration_in(row)) if has_settings else None
    return Function(manifest.computes, modules_in(row), settings)


def module_type_in(row: SpecRow) -> plugin_service_pb2.PluginModuleType | None:
    """Return the module type of an installed plugin; None for another kind."""
    found = manifest_in(row).module
    if found is None:
        return None
    return plugin_service_pb2.PluginModuleType(
        config_schema=msgspec.json.encode(found.config).decode(),
        configuration=configuration_in(row),
        connect=row.content.connections.endpoints,
    )


def page_in(row: SpecRow) -> str:
    """Return the HTML page of an installed panel; empty for another kind."""
    panel = manifest_in(row).panel
    return modules_in(row)[panel.page] if panel else ""


def plugin_message(row: SpecRow, *, pinned: bool) -> plugin_pb2.Plugin:
    """Return the plugin of a spec."""
    manifest = manifest_in(row)
    return plugin_pb2.Plugin(
        name=manifest.name,
        version=manifest.version,
        kind=manifest.kind,
        summary=manifest.summary,
        state=_state(row),
        problem=row.problem,
        task_types=sorted(manifest.tasks),
        permissions=granted_in(row),
        configuration=configuration_in(row),
        digest=digest_in(row),
        pinned=pinned,
        wanted=row.wanted,
        ready=row.ready,
        changed_at_us=row.changed_at_us,
        configuration_schema=msgspec.json.encode(manifest.configuration).decode(),
        panel=_panel_message(manifest),
        all_projects=row.namespace == EVERYWHERE,
    )


def _panel_message(manifest: Manifest) -> plugin_pb2.PluginPanel | None:
    panel = manifest.panel
    if panel is None:
        return None
    reads = manifest.permissions.read
    return plugin_pb2.PluginPanel(title=panel.title, places=panel.places, reads=reads)


def _state(row: SpecRow) -> plugin_pb2.PluginState.ValueType:
    if row.deleted:
        return plugin_pb2.PLUGIN_STATE_REMOVING
    if row.problem.startswith("UPDATE_WENT_BACK"):
        return plugin_pb2.PLUGIN_STATE_WENT_BACK
    if row.problem.startswith("CRASH_LOOP"):
        return plugin_pb2.PLUGIN_STATE_FAILED
    if not row.replicas or (row.stable_version == row.version and row.ready >= row.wanted):
        return plugin_pb2.PLUGIN_STATE_READY
    return plugin_pb2.PLUGIN_STATE_STARTING
