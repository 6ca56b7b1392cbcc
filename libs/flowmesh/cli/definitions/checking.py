"""`lint` and `schema`: checks and schemas without a suite."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Files, Flag
from flowmesh.cli.common import COMMON, Common, guarded
from flowmesh.cli.definitions.offline import checked, show
from flowmesh.cli.definitions.sources import read_source
from flowmesh.definitions.formats.table import FORMATS, SCHEMA_FUNCTIONS

# The kinds of documents are those of the table of formats, and the file of tests.
if TYPE_CHECKING:
    KindWord = str
else:
    KindWord = Literal[(*SCHEMA_FUNCTIONS, "test")]
_KINDS = "; ".join(
    f"{', '.join(each.schemas)}: {each.title}" for each in FORMATS.values() if each.schemas
)
Kind = Annotated[
    KindWord, Parameter(help=f"Kind of document. {_KINDS}; test: a file of workflow tests.")
]


def lint(
    *,
    file: Files,
    strict: Flag = False,
    ignore: Annotated[list[str] | None, Parameter(negative="")] = None,
    common: Common = COMMON,
) -> int:
    """Warn of what is allowed and likely to be regretted, without a suite.

    Also reports errors. Tasks that are in no file are looked up among those that come with
    Flowmesh; others are not checked. Exit code 1 for errors, with --strict also for warnings.

    Parameters
    ----------
    strict
        Warnings are errors.
    ignore
        A code that is not told; may be repeated.
    """
    return guarded(common, lambda: _lint(file, strict, frozenset(ignore or ()), common))


def _lint(names: list[Path], strictly: bool, ignored: frozenset[str], common: Common) -> int:
    source = read_source(names)
    found = checked(source, lint=True)
    problems = [problem for problem in found.problems if problem.code not in ignored]
    if strictly:
        from flowmesh.definitions.lint import strict

        problems = strict(problems)
    warnings = sum(problem.warning for problem in problems)
    verdict = f"{_count(len(problems) - warnings, 'error')}, {_count(warnings, 'warning')}"
    return show(common, replace(found, problems=tuple(problems)), source, verdict)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def schema(kind: Kind = "workflow", /) -> int:
    """Print the JSON Schema of a document, for completion and checks in an editor."""
    from flowmesh.dryrun.editor import SCHEMAS

    output.document(SCHEMAS[kind]())
    return exit_codes.DONE
