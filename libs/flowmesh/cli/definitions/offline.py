"""Checks of definitions in this process, where no suite is asked.

A task that no file holds is taken from those that come with Flowmesh. Any other one can be checked
only where it is stored: it is unchecked, which is neither an error nor a warning.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import Common
from flowmesh.cli.definitions.problems import as_json, tell
from flowmesh.cli.definitions.sources import Source

if TYPE_CHECKING:
    from flowmesh.definitions import Problem, Reading

UNKNOWN_TASK = "TASK_NOT_FOUND"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a source holds, what is wrong with it, and the tasks that could not be looked up."""

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


def checked(source: Source, *, lint: bool = False, strict: bool = False) -> Checked:
    """Checks a source as a suite would that has only the tasks that come with Flowmesh."""
    from flowmesh.definitions import check, read_source
    from flowmesh.definitions.lint import lint as warnings_of
    from flowmesh.definitions.lint import strict as strictly
    from flowmesh.dryrun.source import bundled_task

    reading = read_source(source.text.encode())
    found = [*reading.problems, *check(reading, bundled_task)]
    problems = [problem for problem in found if problem.code != UNKNOWN_TASK]
    unknown = len(problems) < len(found)
    if lint:
        problems += warnings_of(reading, bundled_task)
    return Checked(
        reading,
        tuple(strictly(problems) if strict else problems),
        _unresolved(reading) if unknown else (),
    )


def _unresolved(reading: "Reading") -> tuple[str, ...]:
    """The tasks that are neither in the source nor among the bundled or built-in ones."""
    from flowmesh.definitions.builtins import built_in
    from flowmesh.dryrun.source import bundled_task

    resolve = reading.with_own_tasks(bundled_task)
    return tuple(
        name
        for name in sorted(reading.task_refs)
        if built_in(name) is None and resolve(name) is None
    )


def show(common: Common, found: Checked, source: Source, verdict: str) -> int:
    """All problems, what was not checked, and a verdict; the exit code is 1 for errors."""
    if common.structured:
        output.document(found.as_json(source))
    else:
        for problem in found.problems:
            tell(problem, _severity(problem), problem.place, source)
        if found.unchecked:
            names = ", ".join(found.unchecked)
            output.problem(
                f"not checked: {names}; not in the files and not bundled with Flowmesh"
                " (`flowmesh validate --remote` looks in the library of a suite)"
            )
        output.line(verdict)
    return exit_codes.DONE if found.valid else exit_codes.FAILED


def _severity(problem: "Problem") -> str:
    return "warning" if problem.warning else "error"
