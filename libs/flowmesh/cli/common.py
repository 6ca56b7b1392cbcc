"""What every command shares: its options, its connection, its errors on one line."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.output import Format
from flowmesh.cli.refusals import Refused
from flowmesh.cli.targets import Target, chosen_profile, target, unreachable
from flowmesh.errors import FlowmeshError, Timeout, Unavailable, Violation

if TYPE_CHECKING:
    from flowmesh.sdk import Client

CONNECT_TIMEOUT_S = 3.0
EVERYWHERE = Group("Common options", sort_key=100)

# What to do about an error, by its reason.
HINTS = {
    "WORKFLOW_NOT_FOUND": "`flowmesh list workflows` shows what is there",
    "TEMPLATE_NOT_FOUND": "`flowmesh template list` shows what is there",
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
    name=["--output", "-o"],
    help="How to write to standard output.",
    group=EVERYWHERE,
    show_default=False,
)
_UTC = Parameter(negative="", help="Show times in UTC instead of local time.", group=EVERYWHERE)


@Parameter(name="*")
@dataclass(frozen=True)
class Base:
    """Options of commands whose `-o` is something else."""

    json: Annotated[bool, _JSON] = False

    @property
    def format(self) -> Format | None:
        """The format that a flag names; None without one."""
        return "json" if self.json else None

    @property
    def structured(self) -> bool:
        """Whether standard output holds documents and nothing else."""
        return output.structured()


@Parameter(name="*")
@dataclass(frozen=True)
class Written(Base):
    """Options of commands that need no suite and no profile."""

    output: Annotated[Format | None, _FORMAT] = None

    @property
    def format(self) -> Format | None:
        return self.output or super().format


@Parameter(name="*")
@dataclass(frozen=True)
class Reach(Base):
    """The suite, with the options of `Base`."""

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


def run(common: Reach, work: Callable[["Client"], Awaitable[int]]) -> int:
    """Runs `work` with a connected client; the exit code, also of what went wrong."""
    return guarded(common, lambda: asyncio.run(_connected(common, work)))


def guarded(common: Base, work: Callable[[], int]) -> int:
    """Runs `work`; every foreseeable failure is one line on standard error."""
    with output.styled(common.format or "table"):
        return _guarded(common, lambda: _in_style(common, work))


def _in_style(common: Base, work: Callable[[], int]) -> int:
    """Runs `work` with the output format of the profile where no flag names one."""
    if not isinstance(common, Reach):
        return work()
    chosen = common.format or chosen_profile(common.profile).output or "table"
    with output.styled(chosen, utc=isinstance(common, Common) and common.utc):
        return work()


def _guarded(common: Base, work: Callable[[], int]) -> int:
    try:
        return work()
    except FlowmeshError as error:
        return _report(common, error)
    except Refused as error:
        if common.structured:
            output.document(_refused_json(error))
        _say(error.text, error.hint)
        return error.code
    except ValueError as error:
        # What a message has no room for; everything else is a fault of ours.
        if not str(error).startswith("Value out of range"):
            raise
        number = str(error).rpartition(" ")[2]
        _say(
            f"the number {number} is too large", "at most 64 bits, or 32 where it counts something"
        )
        return exit_codes.USAGE
    except BrokenPipeError:
        # The reader (head, less) has seen enough; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.DONE


async def _connected(common: Reach, work: Callable[["Client"], Awaitable[int]]) -> int:
    from flowmesh.sdk import Client

    where = common.target
    async with Client(where.address.value, where.namespace.value) as client:
        try:
            await client.ready(CONNECT_TIMEOUT_S)
        except Unavailable:
            raise await asyncio.to_thread(unreachable, where.address) from None
        return await work(client)


def _report(common: Base, error: FlowmeshError) -> int:
    if common.structured:
        output.document(error_json(error))
    _say(f"{error.message} [{error.reason}]", HINTS.get(error.reason, ""))
    for violation in error.violations:
        if len(error.violations) > 1 or violation.description not in error.message:
            output.problem(f"  {violation_text(violation)}")
    unreachable = isinstance(error, Unavailable | Timeout) and error.reason != "SYNC_TIMEOUT"
    return exit_codes.UNREACHABLE if unreachable else exit_codes.FAILED


def error_json(error: FlowmeshError) -> dict[str, Any]:
    """The error as REST shows it."""
    details = [
        {"field": v.field, "description": v.description}
        | {name: value for name in ("code", "line", "column") if (value := getattr(v, name))}
        | ({"schemaPath": v.schema_path} if v.schema_path else {})
        for v in error.violations
    ]
    return {
        "error": {
            "code": error.http_status,
            "reason": error.reason,
            "message": error.message,
            "details": details,
        }
    }


def _refused_json(error: Refused) -> dict[str, Any]:
    """What the command refuses by itself, in the same shape."""
    code, reason = 400, "REQUEST_INVALID"
    if error.code == exit_codes.UNREACHABLE:
        code, reason = 503, "SERVICE_UNAVAILABLE"
    return {"error": {"code": code, "reason": reason, "message": error.text, "details": []}}


def violation_text(violation: Violation) -> str:
    place = f"{violation.line}:{violation.column}: " if violation.line else ""
    field = f"{violation.field}: " if violation.field else ""
    code = f" [{violation.code}]" if violation.code else ""
    return f"{place}{field}{violation.description}{code}"


def _say(text: str, hint: str) -> None:
    line = " ".join(text.split())
    output.problem(f"flowmesh: {line}{f' ({hint})' if hint else ''}")
