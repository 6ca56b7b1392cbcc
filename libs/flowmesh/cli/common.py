"""Common options of commands, the connection to the suite, and the output of errors."""

import asyncio
import os
import sys
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

from cyclopts import Group, Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.output import Format
from flowmesh.cli.refusals import Refused
from flowmesh.cli.targets import Target, chosen_profile, target, unreachable
from flowmesh.errors import FlowmeshError, Timeout, Unavailable, Violation

if TYPE_CHECKING:
    from flowmesh.sdk import Client

CONNECT_TIMEOUT_S = 3.0
Params = ParamSpec("Params")
Item = TypeVar("Item")
EVERYWHERE = Group("Common options", sort_key=100)

# The remedy of an error, by its reason.
HINTS = {
    "WORKFLOW_NOT_FOUND": "`flowmesh list workflows` shows what is there",
    "TEMPLATE_NOT_FOUND": "`flowmesh template list` shows what is there",
    "DASHBOARD_NOT_FOUND": "`flowmesh observe dashboards list` shows what is there",
    "PARAMETERS_INVALID": "`flowmesh template show` shows its parameters",
    "LABEL_NOT_FOUND": "`flowmesh label list` shows what is there",
    "TRIGGER_NOT_FOUND": "`flowmesh trigger list` shows what is there",
    "TASK_IN_USE": "`flowmesh list users` shows who uses it",
    "TASK_NOT_FOUND": "`flowmesh list tasks` shows what is there",
    "EXECUTION_NOT_FOUND": "`flowmesh list executions` shows what is there",
    "EXECUTION_ENDED": "`flowmesh get execution` shows how it ended",
    "INPUT_INVALID": "`flowmesh get workflow` shows its input schema",
    "REQUEST_ID_REUSED": "give another --request-id, or none",
    "PAGE_TOKEN_INVALID": "start the list again",
    "OVERLOADED": "try again in a moment",
    "CREDENTIALS_REQUIRED": "`flowmesh login` opens a session",
    "CREDENTIALS_REVOKED": "`flowmesh login` opens another session",
    "ROLE_REQUIRED": "`flowmesh whoami` shows your roles",
    "ROLE_TOO_WIDE": "`flowmesh whoami` shows your roles",
    "PROJECT_NOT_FOUND": "`flowmesh projects list` shows what is there",
    "API_KEY_NOT_FOUND": "`flowmesh keys list` shows what is there",
    "SYNC_TIMEOUT": "`flowmesh watch` follows it",
}


_ADDRESS = Parameter(
    help="host:port of the suite's gRPC; FLOWMESH_ADDRESS.", group=EVERYWHERE, show_default=False
)
_NAMESPACE = Parameter(
    name=["--namespace", "-n"],
    help="Namespace to work in; FLOWMESH_NAMESPACE.",
    group=EVERYWHERE,
    show_default=False,
)
_PROFILE = Parameter(help="Profile to use; FLOWMESH_PROFILE.", group=EVERYWHERE, show_default=False)
_JSON = Parameter(name="--json", negative="", help="The same as -o json.", group=EVERYWHERE)
_FORMAT = Parameter(
    name=["--output", "-o"], help="Format of standard output.", group=EVERYWHERE, show_default=False
)
_UTC = Parameter(negative="", help="Show times in UTC instead of local time.", group=EVERYWHERE)


@Parameter(name="*")
@dataclass(frozen=True)
class Base:
    """Options of commands that use `-o` for something else."""

    json: Annotated[bool, _JSON] = False

    @property
    def format(self) -> Format | None:
        """The format given by a flag; None without one."""
        return "json" if self.json else None

    @property
    def structured(self) -> bool:
        """True if standard output contains only documents."""
        return output.structured()


@Parameter(name="*")
@dataclass(frozen=True)
class Written(Base):
    """Options of commands that need no suite and no profile."""

    output: Annotated[Format | None, _FORMAT] = None

    @property
    def format(self) -> Format | None:
        return self.output or super().format


WRITTEN = Written()


@Parameter(name="*")
@dataclass(frozen=True)
class Reach(Base):
    """The options of `Base`, and those that select a suite and a namespace."""

    address: Annotated[str, _ADDRESS] = ""
    namespace: Annotated[str, _NAMESPACE] = ""
    profile: Annotated[str, _PROFILE] = ""

    @property
    def target(self) -> Target:
        return target(address=self.address, namespace=self.namespace, profile=self.profile)


@Parameter(name="*")
@dataclass(frozen=True)
class Common(Reach):
    """Options of every other command."""

    output: Annotated[Format | None, _FORMAT] = None
    utc: Annotated[bool, _UTC] = False

    @property
    def format(self) -> Format | None:
        return self.output or super().format


COMMON = Common()


def command(
    function: Callable[Params, int | Coroutine[Any, Any, int | None] | None],
) -> Callable[Params, int]:
    """Decorate the function of a command, which may be async.

    Foreseeable failures are reported on standard error. Returns the exit code, DONE without one.
    """
    default = signature(function).parameters["common"].default

    @wraps(function)
    def execute(*args: Params.args, **kwargs: Params.kwargs) -> int:
        common = kwargs.get("common", default)
        assert isinstance(common, Base)

        def body() -> int:
            result = function(*args, **kwargs)
            code = asyncio.run(result) if isinstance(result, Coroutine) else result
            return exit_codes.DONE if code is None else code

        return guarded(common, body)

    return execute


def guarded(common: Base, action: Callable[[], int]) -> int:
    """Run the action; report each foreseeable failure in one line on standard error."""
    with output.styled(common.format or "table"):
        return _guarded(common, lambda: _in_style(common, action))


def _in_style(common: Base, action: Callable[[], int]) -> int:
    """Run the action with the output format of the profile, unless a flag sets one."""
    if not isinstance(common, Reach):
        return action()
    chosen = common.format or chosen_profile(common.profile).output or "table"
    with output.styled(chosen, utc=isinstance(common, Common) and common.utc):
        return action()


def _guarded(common: Base, action: Callable[[], int]) -> int:
    try:
        return action()
    except FlowmeshError as error:
        return _report(common, error)
    except Refused as error:
        if common.structured:
            output.document(_refused_json(error))
        _print_error(error.text, error.hint)
        return error.code
    except ValueError as error:
        # Protobuf rejects numbers that exceed a field; any other ValueError is a defect.
        if not str(error).startswith("Value out of range"):
            raise
        number = str(error).rpartition(" ")[2]
        _print_error(f"the number {number} is too large", "at most 64 bits, or 32 for a count")
        return exit_codes.USAGE
    except BrokenPipeError:
        # The reader (head, less) closed the pipe; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.DONE


def run(common: Reach, action: Callable[["Client"], Awaitable[int]]) -> int:
    """Run the action with a connected client; for commands that first read standard input."""

    async def connect_and_run() -> int:
        async with connected(common) as client:
            return await action(client)

    return asyncio.run(connect_and_run())


@asynccontextmanager
async def connected(common: Reach, *, anonymous: bool = False) -> AsyncIterator["Client"]:
    """Yield a connected client; raise Refused if the suite does not answer.

    An anonymous client has no credential.
    """
    chosen = common.target
    async with chosen.client(anonymous=anonymous) as client:
        try:
            await client.ready(CONNECT_TIMEOUT_S)
        except Unavailable:
            raise await asyncio.to_thread(unreachable, chosen.address) from None
        yield client


async def collect(items: AsyncIterable[Item], limit: int) -> list[Item]:
    """Return the first `limit` items; all if 0."""
    found: list[Item] = []
    async for item in items:
        found.append(item)
        if len(found) == limit:
            break
    return found


def _report(common: Base, error: FlowmeshError) -> int:
    if common.structured:
        output.document(error_json(error))
    _print_error(f"{error.message} [{error.reason}]", HINTS.get(error.reason, ""))
    for violation in error.violations:
        if len(error.violations) > 1 or violation.description not in error.message:
            output.problem(f"  {violation_text(violation)}")
    is_unreachable = isinstance(error, Unavailable | Timeout) and error.reason != "SYNC_TIMEOUT"
    return exit_codes.UNREACHABLE if is_unreachable else exit_codes.FAILED


def error_json(error: FlowmeshError) -> dict[str, Any]:
    """The error in its REST form."""
    details = [
        {"field": v.field, "description": v.description}
        | {name: value for name in ("code", "line", "column") if (value := getattr(v, name))}
        | ({"schemaPath": v.schema_path} if v.schema_path else {})
        for v in error.violations
    ]
    return {
        "error": (output.members(error, "code=http_status reason message") | {"details": details})
    }


def _refused_json(error: Refused) -> dict[str, Any]:
    """A refusal of the command itself, in the form of `error_json`."""
    code, reason = 400, "REQUEST_INVALID"
    if error.code == exit_codes.UNREACHABLE:
        code, reason = 503, "SERVICE_UNAVAILABLE"
    return {"error": {"code": code, "reason": reason, "message": error.text, "details": []}}


def violation_text(violation: Violation) -> str:
    place = f"{violation.line}:{violation.column}: " if violation.line else ""
    field = f"{violation.field}: " if violation.field else ""
    code = f" [{violation.code}]" if violation.code else ""
    return f"{place}{field}{violation.description}{code}"


def _print_error(text: str, hint: str) -> None:
    line = " ".join(text.split())
    output.problem(f"flowmesh: {line}{f' ({hint})' if hint else ''}")
