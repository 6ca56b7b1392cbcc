"""`lint` and `schema`: checks and schemas without a suite."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Files, Flag, Strict, Texts
from flowmesh.cli.common import COMMON, Common, command
from flowmesh.cli.definitions.offline import check_offline, show_offline
from flowmesh.cli.definitions.sources import read_source
from flowmesh.definitions.formats.table import FORMATS, SCHEMA_FUNCTIONS

# The kinds of documents: those of the table of formats, and files of workflow tests.
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


@command
def lint(
    *, file: Files, strict: Strict = False, ignore: Texts = None, common: Common = COMMON
) -> int:
    """Report errors and likely mistakes, without a suite.

    Tasks that are not in the files are resolved from the bundled library; others are not checked.
    Exit code 1 for errors, with --strict also for warnings.

    Args:
        ignore: Code of a problem to ignore; can be repeated.
    """
    source = read_source(file)
    found = check_offline(source, lint=True)
    problems = [problem for problem in found.problems if problem.code not in (ignore or ())]
    if strict:
        from flowmesh.definitions.lint import strict as as_errors

        problems = as_errors(problems)
    warnings = sum(problem.warning for problem in problems)
    verdict = f"{_count(len(problems) - warnings, 'error')}, {_count(warnings, 'warning')}"
    return show_offline(common, replace(found, problems=tuple(problems)), source, verdict)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def schema(kind: Kind = "workflow", /, *, kubernetes: Flag = False) -> int:
    """Print the JSON Schema of a document, for completion and validation in an editor.

    Args:
        kubernetes: Print the resource definitions of a cluster, all kinds in one list.
    """
    if kubernetes:
        from flowmesh.definitions.editor.kubernetes import resource_definition, resources

        items = [resource_definition(each) for each in resources()]
        output.document({"apiVersion": "v1", "kind": "List", "items": items})
        return exit_codes.DONE
    from flowmesh.dryrun.editor import SCHEMAS

    output.document(SCHEMAS[kind]())
    return exit_codes.DONE
