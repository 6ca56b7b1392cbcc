"""Checks of definitions in this process, without a suite.

Tasks that are not in the files are resolved from the bundled library. All others can be checked by
a suite only; they are reported as unchecked, which is neither an error nor a warning.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import Common
from flowmesh.cli.definitions.problems import as_json, print_problem
from flowmesh.cli.definitions.sources import Source

if TYPE_CHECKING:
    from flowmesh.definitions import Problem, Reading

UNKNOWN_TASK = "TASK_NOT_FOUND"


@dataclass(frozen=True, slots=True)
class OfflineCheck:
    """The definitions of a source, their problems, and the tasks that were not found."""

    reading: "Reading"
    problems: "tuple[Problem, ...]"
    unchecked: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return all(problem.warning for problem in self.problems)

    def as_json(self, source: Source) -> dict[str, Any]:
        problems = [
            as_json(problem, _severity(problem), problem.place, source) for problem in self.problems
        ]
        return {"valid": self.valid, "problems": problems, "unchecked": list(self.unchecked)}


def check_offline(source: Source, *, lint: bool = False, strict: bool = False) -> OfflineCheck:
    """Check a source as a suite does that contains only the bundled tasks."""
    from flowmesh.definitions import check, read_source
    from flowmesh.definitions.lint import lint as warnings_of
    from flowmesh.definitions.lint import strict as as_errors
    from flowmesh.dryrun.source import bundled_task

    reading = read_source(source.text.encode())
    found = [*reading.problems, *check(reading, bundled_task)]
    problems = [problem for problem in found if problem.code != UNKNOWN_TASK]
    unknown = len(problems) < len(found)
    if lint:
        problems += warnings_of(reading, bundled_task)
    return OfflineCheck(
        reading,
        tuple(as_errors(problems) if strict else problems),
        _unresolved(reading) if unknown else (),
    )


def _unresolved(reading: "Reading") -> tuple[str, ...]:
    """Return the tasks that are neither in the source nor bundled nor built in."""
    from flowmesh.definitions.builtins import built_in
    from flowmesh.dryrun.source import bundled_task

    resolve = reading.with_own_tasks(bundled_task)
    return tuple(
        name
        for name in sorted(reading.task_refs)
        if built_in(name) is None and resolve(name) is None
    )


def show_offline(common: Common, found: OfflineCheck, source: Source, verdict: str) -> int:
    """Print the problems, the unchecked tasks and the verdict. Return 1 if there are errors."""
    if common.structured:
        output.document(found.as_json(source))
    else:
        for problem in found.problems:
            print_problem(problem, _severity(problem), problem.place, source)
        if found.unchecked:
            names = ", ".join(found.unchecked)
            output.problem(
                f"not checked: {names}; not in the files and not bundled with Flowmesh"
                " (`flowmesh validate --remote` checks with the tasks of a suite)"
            )
        output.line(verdict)
    return exit_codes.DONE if found.valid else exit_codes.FAILED


def _severity(problem: "Problem") -> str:
    return "warning" if problem.warning else "error"
