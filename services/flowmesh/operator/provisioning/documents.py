"""Documents of Apps as the application host checks them, before an App is stored."""

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from flowmesh.api.apphost.v1 import app_pb2
from flowmesh.api.apphost.v1 import app_service_pb2 as pb
from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.errors import Overloaded, WrongState
from flowmesh.operator.kinds import Object
from flowmesh.operator.limits import DOCUMENT_TIMEOUT_S

if TYPE_CHECKING:
    from flowmesh.api.apphost.v1.app_service_pb2_grpc import AppServiceAsyncStub

# Bounds of applications that share the machine of a host; a pod has its own.
FOREIGN: Final = frozenset({"APP_PATH_FOREIGN", "APP_ADDRESS_FOREIGN"})
_DOCUMENT: Final = "app.yaml"
_MISSING: Final = "ENV_MISSING"
_NAME: Final = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]{0,127})")


class Documents:
    """Asks the application host, which runs few checks at once and refuses too many."""

    def __init__(self, apps: "AppServiceAsyncStub") -> None:
        self._apps = apps

    async def check(
        self, app: Object, before: Object | None, namespace: str
    ) -> Sequence[definition_pb2.Problem]:
        """Return the findings of a document that changes. Raises errors that may pass.

        An App whose image or command is not that of Flowmesh reads its document itself.
        """
        request = request_of(app, namespace)
        if request is None or (before and request_of(before, namespace) == request):
            return ()
        try:
            findings = await self._findings(request)
        except WrongState as error:
            # A host without walls checks nothing; in a pod the document has its own.
            unchecked = error.reason == "APP_ISOLATION_MISSING"
            text = f"the document was not checked: {error.message}" if unchecked else error.message
            found = app_pb2.AppFinding(code=error.reason, message=text, warning=unchecked)
            return (problem_of(found),)
        return [problem_of(each) for each in findings if _concerns(app, each)]

    async def _findings(self, request: pb.ValidateAppRequest) -> Sequence[app_pb2.AppFinding]:
        try:
            # A call that is given up ends its check.
            async with asyncio.timeout(DOCUMENT_TIMEOUT_S):
                return (await self._apps.ValidateApp(request)).findings
        except TimeoutError:
            text = f"the document was not checked within {DOCUMENT_TIMEOUT_S:g} s"
            raise Overloaded("OVERLOADED", text) from None


def request_of(app: Object, namespace: str) -> pb.ValidateAppRequest | None:
    """Return the content of an App to check, with the variables that it names; None without one."""
    spec = app["spec"]
    source = spec.get("source")
    if source is None or spec.get("image") or spec.get("command"):
        return None
    document, files = source["document"], source.get("files") or {}
    named = {name for text in (document, *files.values()) for name in _NAME.findall(text)}
    values = spec.get("env") or {}
    return pb.ValidateAppRequest(
        namespace=namespace,
        app=app["metadata"]["name"],
        document=document,
        files=[
            app_pb2.AppFile(path=path, content=text.encode())
            for path, text in sorted(files.items())
        ],
        environment={name: values[name] for name in named & values.keys()},
    )


def problem_of(found: app_pb2.AppFinding) -> definition_pb2.Problem:
    """Return a finding at its file in the App."""
    inside = found.file and found.file != _DOCUMENT
    place = f"line {found.line}, column {found.column}: " if found.line else ""
    return definition_pb2.Problem(
        path=f"source.files[{found.file}]" if inside else "source.document",
        message=place + (f"{found.path}: " if found.path else "") + found.message,
        code=found.code,
        severity=definition_pb2.SEVERITY_WARNING
        if found.warning
        else definition_pb2.SEVERITY_ERROR,
    )


def _concerns(app: Object, found: app_pb2.AppFinding) -> bool:
    """Return whether a finding holds in a pod, whose Secrets may have any variable."""
    spec = app["spec"]
    elsewhere = spec.get("secrets") or spec.get("infrastructure")
    return found.code not in FOREIGN and not (found.code == _MISSING and elsewhere)
