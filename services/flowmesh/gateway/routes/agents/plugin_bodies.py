"""Bodies about plugins."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.gateway.bodies.answers import Answer, Instant
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.jsontext import dump_json
from flowmesh.records import Source

KindWord = Literal["task", "connector", "module-type", "format", "transform", "login", "panel"]
StateWord = Literal["starting", "ready", "went_back", "failed", "removing"]
VersionText = Annotated[str, Meta(max_length=20, description="Empty is the newest.")]


def _text(value: Any) -> str:
    return dump_json(value).decode()


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


Configuration = Annotated[
    dict[str, Any],
    Meta(description="Values of the configuration schema; those absent have its defaults."),
    Source(read=_text),
]
Accepted = Annotated[
    list[str],
    Meta(description="Permissions that are granted, such as `connect mail.example:25`."),
]


AllProjects = Annotated[
    bool, Meta(description="Of all projects; only an admin of the installation may.")
]


class InstallBody(Envelope, frozen=True, kw_only=True):
    """A plugin of the catalogue."""

    name: Annotated[str, Meta(max_length=40)]
    version: VersionText = ""
    configuration: Configuration = msgspec.field(default_factory=dict)
    accepted: Accepted = msgspec.field(default_factory=list)
    all_projects: AllProjects = False


class ConfigureBody(Envelope, frozen=True, kw_only=True):
    """The configuration of a plugin."""

    configuration: Configuration
    accepted: Accepted = msgspec.field(default_factory=list)
    all_projects: AllProjects = False


class UpgradeBody(Envelope, frozen=True, kw_only=True):
    """A version of a plugin, and the permissions that it has more than the one before."""

    version: VersionText = ""
    accepted: Accepted = msgspec.field(default_factory=list)
    all_projects: AllProjects = False


class PinBody(Envelope, frozen=True, kw_only=True):
    """Whether upgrades are refused."""

    pinned: bool
    all_projects: AllProjects = False


class TextBody(Envelope, frozen=True, kw_only=True):
    """A text in a format of a plugin."""

    text: Annotated[str, Meta(max_length=1_048_576)]


class DocumentList(Answer, kw_only=True):
    """Native documents, which can be registered."""

    documents: Annotated[msgspec.Raw, Source(read=_raw)]


class PanelValue(Answer, kw_only=True):
    """A page that the console shows in a sandboxed frame."""

    title: str
    places: list[Literal["execution", "workflow"]]
    reads: list[Literal["execution", "history", "state", "workflow"]]


class PageValue(Answer, kw_only=True):
    """The page of a panel."""

    html: str


class PluginValue(Answer, kw_only=True):
    """A plugin of the namespace."""

    name: str
    version: str
    kind: KindWord
    summary: str
    state: StateWord
    problem: str | UnsetType = UNSET
    task_types: list[str]
    permissions: list[str]
    configuration: Annotated[msgspec.Raw, Source(read=_raw)]
    configuration_schema: Annotated[msgspec.Raw, Source(read=_raw)]
    digest: str
    pinned: bool
    wanted: int
    ready: int
    changed_at: Instant
    panel: PanelValue | UnsetType = UNSET
    all_projects: bool


class PluginList(Answer, kw_only=True):
    """Plugins by name."""

    plugins: list[PluginValue]


class CataloguePluginValue(Answer, kw_only=True):
    """A version in the catalogue."""

    name: str
    version: str
    kind: KindWord
    summary: str
    flowmesh: str
    supported: bool
    task_types: list[str]
    permissions: list[str]
    configuration_schema: Annotated[msgspec.Raw, Source(read=_raw)]
    digest: str
    installed_version: str | UnsetType = UNSET


class CatalogueList(Answer, kw_only=True):
    """Versions by name, the newest first."""

    plugins: list[CataloguePluginValue]
