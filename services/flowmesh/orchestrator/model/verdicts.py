"""Decisions of the engine as answers to the senders of commands."""

from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.engine import (
    Abort,
    Command,
    Ended,
    Full,
    NodeMissing,
    NodeUnfit,
    State,
    Steer,
    StillOpen,
    TaskEnded,
    Transition,
    Unfit,
    decide,
)
from flowmesh.errors import FlowmeshError
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.errors import (
    command_failed,
    execution_ended,
    execution_open,
    no_room,
    node_not_found,
    node_unfit,
    retry_ended,
    wrong_status,
)
from flowmesh.orchestrator.model.failures import failure
from flowmesh.orchestrator.model.messages import status_name


def decide_command(
    state: State, command: Command, now_us: int, into: Transition
) -> bool | FlowmeshError:
    """Decide a command. Return whether it has an effect, or the error that rejects it."""
    execution_id = state.execution_id
    try:
        return decide(state, command, now_us, into)
    except Ended as ended:
        return _ended(execution_id, status_name(ended.status), command)
    except Unfit as unfit:
        return wrong_status(execution_id, status_name(unfit.status))
    except NodeMissing as missing:
        return node_not_found(str(missing))
    except NodeUnfit as unfit_node:
        return node_unfit(str(unfit_node))
    except StillOpen as still:
        return execution_open(execution_id, status_name(still.status))
    except Full as full:
        return no_room(execution_id, full)


def _ended(execution_id: str, status: str, command: Command) -> FlowmeshError:
    if isinstance(command, Steer):
        if command.action == execution_pb2.NODE_ACTION_RETRY:
            return retry_ended(execution_id, status, command.node)
        if command.action == execution_pb2.NODE_ACTION_RETRY_FAILED:
            return retry_ended(execution_id, status, "")
    return execution_ended(execution_id, status)


def sequence_of(pending: PendingCommand, state: State) -> int:
    """Return the sequence that answers a command; a repeat gets the first answer."""
    request_id = getattr(pending.command, "request_id", "")
    return state.requests.get(request_id, state.sequence) if request_id else state.sequence


def replacement_for(poison: PendingCommand) -> list[PendingCommand]:
    """Return the commands in place of one that the engine cannot apply.

    A result is replaced by a failure of its attempt. The sender of any other command gets an error.
    """
    command = poison.command
    if not isinstance(command, TaskEnded) or command.failure is not None:
        poison.answer(command_failed())
        return []
    return [_failure_instead(poison, command)]


def refused_for_good(poison: PendingCommand, problem: str) -> list[PendingCommand]:
    """Return the commands in place of one that the database rejects for its content.

    A result is replaced by a failure of its attempt, another command by the failure of its
    execution. If that is rejected too, the sender gets an error.
    """
    command = poison.command
    if isinstance(command, TaskEnded) and command.failure is None:
        return [_failure_instead(poison, command)]
    if isinstance(command, Abort):
        poison.answer(command_failed())
        return []
    aborted = Abort(f"a decision of the execution cannot be stored: {problem}")
    return [PendingCommand(poison.execution_id, poison.partition, aborted, poison.answer)]


def _failure_instead(poison: PendingCommand, command: TaskEnded) -> PendingCommand:
    poisoned = failure("POISON", "the result cannot be applied")
    replaced = TaskEnded(command.node, command.attempt, failure=poisoned)
    return PendingCommand(poison.execution_id, poison.partition, replaced, poison.answer)
