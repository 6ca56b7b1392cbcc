"""`diagnose saga`: the compensations that failed, how often, why, and the remedies."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, collect, command, connected
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import counted

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Execution, Node

SagaArgument = Annotated[str, Parameter(help="Id of the saga, or of its execution.")]


@command
async def diagnose(saga: SagaArgument, /, *, common: Common = COMMON) -> int:
    """Explain why a saga is not compensated. Exit code 1 if a compensation failed."""
    from flowmesh.sdk.sagas.manager import state_of

    async with connected(common) as client:
        execution = await _execution(client, saga)
    state = state_of(execution)
    findings = [_finding(execution, node) for node in execution.nodes if node.undoes]
    failed = [each for each in findings if each["cause"] == "COMPENSATION_FAILED"]
    if common.structured:
        document = {"saga": saga, "executionId": execution.id, "state": str(state)}
        output.document(document | {"findings": findings})
        return exit_codes.FAILED if failed else exit_codes.DONE
    output.line(f"{saga}  {state}  {execution.workflow_id}  {execution.id}")
    if execution.failure is not None:
        output.line(f"  {execution.failure.node or 'the execution'}: {execution.failure.message}")
    if not findings:
        output.nothing("No compensation has begun.")
    for each in findings:
        output.line(f"  {each['step']}: {each['explanation']}")
        if each["remedy"]:
            output.line(f"    {each['remedy']}")
    return exit_codes.FAILED if failed else exit_codes.DONE


async def _execution(client: "Client", saga: str) -> "Execution":
    """Return the execution of a saga. Raises Refused if there is none."""
    if saga.startswith("exec-"):
        return await client.get_execution(saga)
    found = await collect(client.list_executions(filter=f'label.saga = "{saga}"'), 1)
    if not found:
        raise Refused(f"there is no saga {saga!r}", code=exit_codes.FAILED)
    return await client.get_execution(found[0].id)


def _finding(execution: "Execution", undo: "Node") -> dict[str, str]:
    error = undo.failure.message if undo.failure is not None else ""
    tries = counted(undo.attempts, "attempt")
    if undo.held or (undo.failure is not None and str(undo.status) == "failed"):
        command = f"flowmesh retry {execution.id} {undo.id}"
        return {
            "step": undo.undoes,
            "cause": "COMPENSATION_FAILED",
            "explanation": f"the compensation failed after {tries}: {error}",
            "remedy": f"correct its cause, then `{command}`; or `skip`, or `complete` it by hand",
        }
    done = str(undo.status) == "completed"
    retried = undo.attempts > 1 and error
    words = {"completed": "compensated", "skipped": "the compensation was skipped"}
    text = words.get(str(undo.status), f"the compensation is {undo.status}")
    return {
        "step": undo.undoes,
        "cause": "COMPENSATED" if done else "COMPENSATION_RETRYING" if retried else "COMPENSATING",
        "explanation": text + (f" after {tries}: {error}" if retried else ""),
        "remedy": "",
    }
