"""What every command shares: its options, its connection, its errors on one line."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.errors import FlowmeshError, Timeout, Unavailable, Violation

if TYPE_CHECKING:
    from flowmesh.sdk import Client

DEFAULT_ADDRESS = "127.0.0.1:7450"
CONNECT_TIMEOUT_S = 3.0

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


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """Options of every command."""

    address: Annotated[
        str, Parameter(env_var="FLOWMESH_ADDRESS", help="host:port of the suite's gRPC.")
    ] = DEFAULT_ADDRESS
    namespace: Annotated[
        str, Parameter(env_var="FLOWMESH_NAMESPACE", help="Namespace to work in.")
    ] = "default"
    json: Annotated[
        bool, Parameter(name="--json", negative="", help="Write JSON to standard output.")
    ] = False


COMMON = Common()


class Refused(Exception):
    """The command cannot do what it was asked; one line says why, another what would help."""

    def __init__(self, text: str, hint: str = "", code: int = exit_codes.FAILED) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.code = code


def run(common: Common, work: Callable[["Client"], Awaitable[int]]) -> int:
    """Runs `work` with a connected client; the exit code, also of what went wrong."""
    return guarded(common, lambda: asyncio.run(_connected(common, work)))


def guarded(common: Common, work: Callable[[], int]) -> int:
    """Runs `work`; every foreseeable failure is one line on standard error."""
    try:
        return work()
    except FlowmeshError as error:
        return _report(common, error)
    except Refused as error:
        if common.json:
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


async def _connected(common: Common, work: Callable[["Client"], Awaitable[int]]) -> int:
    from flowmesh.sdk import Client

    async with Client(common.address, common.namespace) as client:
        try:
            await client.ready(CONNECT_TIMEOUT_S)
        except Unavailable:
            raise Refused(
                f"nothing answers at {common.address}",
                "`flowmesh dev` starts a suite; --address or FLOWMESH_ADDRESS name another one",
                exit_codes.UNREACHABLE,
            ) from None
        return await work(client)


def _report(common: Common, error: FlowmeshError) -> int:
    if common.json:
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
