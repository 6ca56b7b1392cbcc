"""Bodies about hosted applications."""

import base64
import binascii
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flowmesh.api.apphost.v1 import app_pb2
from flowmesh.gateway.bodies.answers import Answer, Instant, Json, ProblemValue
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.gateway.http.ids import invalid_field
from flowmesh.gateway.http.requests import Request
from flowmesh.jsontext import parse_json
from flowmesh.records import Source, reader

RELEASE_MAX = 2**31 - 1
Whole = Annotated[int, Meta(ge=0, le=RELEASE_MAX)]
AppWord = Literal["stopped", "starting", "running", "crashing"]
ReleaseWord = Literal["pending", "serving", "replaced", "refused"]


class FileBody(Envelope, frozen=True, kw_only=True):
    """A file beside the document: its text, or its bytes in base64."""

    text: str | UnsetType = UNSET
    base64: str | UnsetType = UNSET

    def content(self, path: str) -> bytes:
        if (self.text is UNSET) == (self.base64 is UNSET):
            raise invalid_field(f"files.{path}", "has either text or base64")
        if isinstance(self.text, str):
            return self.text.encode()
        try:
            return base64.b64decode(str(self.base64), validate=True)
        except binascii.Error:
            raise invalid_field(f"files.{path}.base64", "is not base64") from None


class _Content(Envelope, frozen=True, kw_only=True):
    """The content of a release."""

    document: Annotated[str, Meta(description="YAML of the application.")]
    files: Annotated[
        dict[str, FileBody], Meta(description="Files beside the document, by relative path.")
    ] = msgspec.field(default_factory=dict)
    environment: Annotated[
        dict[str, str], Meta(description="Values of `${NAME}`; encrypted at rest, never returned.")
    ] = msgspec.field(default_factory=dict)

    base_release: Annotated[
        Whole,
        Meta(description="Release whose files and variables are kept where none are given."),
    ] = 0

    def fields(self, request: Request) -> dict[str, Any]:
        return {
            "namespace": request.namespace,
            "app": request.param("app"),
            "document": self.document,
            "files": [
                app_pb2.AppFile(path=path, content=each.content(path))
                for path, each in self.files.items()
            ],
            "environment": self.environment,
            "base_release": self.base_release,
        }


class DeployRequest(_Content, frozen=True, kw_only=True):
    """A release of an application; a `baseRelease` must be the present one."""

    role: Annotated[
        Literal["", "viewer", "editor", "admin"],
        Meta(description="Role of the application's own key, at most yours; empty is `editor`."),
    ] = ""

    def fields(self, request: Request) -> dict[str, Any]:
        return {**super().fields(request), "role": self.role}


class ValidateAppRequest(_Content, frozen=True, kw_only=True):
    """A document that is checked as a release of an application."""


class RollbackRequest(Envelope, frozen=True, kw_only=True):
    """The release to return to."""

    release: Annotated[
        Whole, Meta(description="0 is the one that served before the present one.")
    ] = 0


def _addresses(found: Iterable[app_pb2.AppAddress]) -> dict[str, str]:
    return {each.server: each.address for each in found}


class AppValue(Answer, kw_only=True):
    """A hosted application."""

    app: str
    state: AppWord
    # The release that serves; 0 if none ever did.
    release: int
    newest_release: int
    # host:port by server.
    addresses: Annotated[dict[str, str], Source(read=_addresses)]
    problem: str | UnsetType = UNSET
    memory_bytes: int
    restarts: int
    created_at: Instant
    changed_at: Instant


class AppList(Answer, kw_only=True):
    """Applications by name."""

    apps: list[AppValue]


class ReleaseValue(Answer, kw_only=True):
    """A release, without its content."""

    release: int
    state: ReleaseWord
    digest: str
    problem: str | UnsetType = UNSET
    files: list[str]
    # Names of the variables.
    environment: list[str]
    warnings: list[str]
    size_bytes: int
    created_by: str
    created_at: Instant


class ReleaseList(Answer, kw_only=True):
    """Releases, newest first."""

    releases: list[ReleaseValue]


class LogValue(Answer, kw_only=True):
    """A record of the log of an application."""

    at: Instant | UnsetType = UNSET
    level: str
    module: str
    message: str
    release: int
    fields: Annotated[Json, Source(read=parse_json)]


class LogList(Answer, kw_only=True):
    """Records of a log, oldest first."""

    records: list[LogValue]


class AppFindingValue(ProblemValue, kw_only=True):
    """A place of an application that is wrong; `app.yaml` is the document."""

    file: str


class AppValidation(Answer, kw_only=True):
    """The findings of a document."""

    valid: bool
    problems: list[AppFindingValue]


class FieldForm(Answer, kw_only=True):
    """A key of the configuration of a module type."""

    key: str
    label: str
    type: str
    description: str
    required: bool
    default_value: Json
    options: list[str]
    sensitive: bool
    # Kind of service whose module the value names.
    refers: str


class PortForm(Answer, kw_only=True):
    """A kind of service that a module type needs or offers."""

    name: str
    type: str
    # Key of the configuration that names its module; empty if it is found without a name.
    key: str
    optional: bool


class ModuleForm(Answer, kw_only=True):
    """A module type as builders show it."""

    type: str
    label: str
    category: str
    description: str
    inputs: list[PortForm]
    outputs: list[PortForm]
    config_fields: list[FieldForm]
    default_config: dict[str, Any]
    json_schema: dict[str, Any]


release_value = reader(ReleaseValue, app_pb2.Release)
_finding = reader(AppFindingValue, app_pb2.AppFinding, given=("severity", "broken"))


def validation(findings: Iterable[app_pb2.AppFinding]) -> AppValidation:
    problems = [
        _finding(each, severity="warning" if each.warning else "error", broken=UNSET)
        for each in findings
    ]
    valid = all(each.severity == "warning" for each in problems)
    return AppValidation(valid=valid, problems=problems)
