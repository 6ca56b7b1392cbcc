"""Rules for single tasks: timeouts and retries."""

from collections.abc import Container

from flowmesh.definitions.lint.subject import Subject, calls
from flowmesh.definitions.model import Dialect, Node, Retry, Task
from flowmesh.definitions.problems import Path, Problems
from flowmesh.tasktypes import timeout_of

# Above these, attempts or total delay are reported as a likely mistake.
ATTEMPTS_MAX = 20
WAITING_MS_MAX = 24 * 3_600_000
_HOUR_MS = 3_600_000


def check_step(subject: Subject, node: Node, own: Container[str]) -> None:
    """Check a node; limits of a task in the same source are reported at the task."""
    task = subject.task(node)
    if task is None or node.body is not None:
        return
    if calls(task) and not node.timeout_ms and not task.timeout_ms and node.task_ref not in own:
        _warn_of_timeout(task, node.id, node.path, subject.problems)
    if node.retry is not None:
        key = "retry" if subject.workflow.dialect is Dialect.NATIVE else "retryPolicy"
        _check_retry(node.retry, node.id, (*node.path, key), subject.problems)


def check_task(task: Task, problems: Problems) -> None:
    if calls(task) and not task.timeout_ms:
        _warn_of_timeout(task, task.name, task.path, problems)
    if task.retry is not None:
        _check_retry(task.retry, task.name, (*task.path, "retry"), problems)


def _warn_of_timeout(task: Task, name: str, path: Path, problems: Problems) -> None:
    seconds = timeout_of(task.executor) // 1000
    message = f"{name} has no timeout: each attempt may take {seconds} s; say how long"
    problems.warn("LINT_TIMEOUT", message, path)


def _check_retry(retry: Retry, name: str, path: Path, problems: Problems) -> None:
    waiting_ms = waiting_of(retry)
    if retry.max_attempts > ATTEMPTS_MAX:
        message = f"{name} is tried {retry.max_attempts} times; up to {ATTEMPTS_MAX} are usual"
        problems.warn("LINT_RETRY", message, path)
    elif waiting_ms > WAITING_MS_MAX:
        hours = waiting_ms / _HOUR_MS
        message = f"{name} waits up to {hours:.0f} h between its attempts before it fails"
        problems.warn("LINT_RETRY", message, path)


def waiting_of(retry: Retry) -> float:
    """Return the sum of all delays of a policy in ms."""
    total, delay = 0.0, float(retry.initial_delay_ms)
    for _ in range(retry.max_attempts - 1):
        total += min(delay, retry.max_delay_ms) if retry.max_delay_ms else delay
        if total > WAITING_MS_MAX:
            return total
        delay *= retry.multiplier
    return total
