"""`lint`, `schema` and `errors`: what needs no suite."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, guarded
from flowmesh.cli.definitions import Files, Flag
from flowmesh.cli.problems import as_json, tell
from flowmesh.cli.refusals import Refused
from flowmesh.cli.sources import Source, read_source

if TYPE_CHECKING:
    from flowmesh.definitions import Problem

Kind = Literal["workflow", "task", "template", "steps", "graph", "serverless", "states", "test"]


def lint(
    *,
    file: Files,
    strict: Flag = False,
    ignore: Annotated[list[str] | None, Parameter(negative="")] = None,
    common: Common = COMMON,
) -> int:
    """Warn of what is allowed and likely to be regretted, without a suite.

    Also tells what is wrong, but for tasks that are only in a suite's library. Exit code 1 if
    anything is wrong, with --strict also if anything is warned of.

    Parameters
    ----------
    strict
        Warnings are errors.
    ignore
        A code that is not told; may be repeated.
    """
    return guarded(common, lambda: _lint(file, strict, frozenset(ignore or ()), common))


def _lint(names: list[str], strictly: bool, ignored: frozenset[str], common: Common) -> int:
    from flowmesh import definitions
    from flowmesh.definitions.compile import no_library
    from flowmesh.definitions.lint import lint as warnings_of
    from flowmesh.definitions.lint import strict

    source = read_source(names)
    reading = definitions.read_source(source.text.encode())
    wrong = [*reading.problems, *definitions.check(reading, no_library)]
    # A task that is in no file may well be in the library.
    problems = [problem for problem in wrong if problem.code != "TASK_NOT_FOUND"]
    problems += warnings_of(reading, no_library)
    problems = [problem for problem in problems if problem.code not in ignored]
    if strictly:
        problems = strict(problems)
    return show(common, problems, source)


def show(common: Common, problems: "Sequence[Problem]", source: Source) -> int:
    """Problems of the library of definitions; the exit code says whether there are errors."""
    severities = ["warning" if problem.warning else "error" for problem in problems]
    errors = severities.count("error")
    told = list(zip(problems, severities, strict=True))
    if common.structured:
        shown = [as_json(problem, severity, problem.place, source) for problem, severity in told]
        output.document({"valid": not errors, "problems": shown})
    else:
        for problem, severity in told:
            tell(problem, severity, problem.place, source)
        output.line(f"{_count(errors, 'error')}, {_count(len(told) - errors, 'warning')}")
    return exit_codes.FAILED if errors else exit_codes.DONE


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def schema(kind: Kind = "workflow", /) -> int:
    """Print the JSON Schema of a document, for completion and checks in an editor.

    Parameters
    ----------
    kind
        `workflow`, `task` and `template` are resources of workflow.io/v1; `steps` is step JSON,
        `graph` graph JSON, `serverless` Serverless Workflow, `states` Amazon States Language;
        `test` is a file of workflow tests.
    """
    from flowmesh.rehearsal.editor import SCHEMAS

    output.document(SCHEMAS[kind]())
    return exit_codes.DONE


def errors(code: str = "", /, *, common: Common = COMMON) -> int:
    """Explain an error code; without one, list all of them.

    Parameters
    ----------
    code
        As in brackets behind a message: GRAPH_CYCLE.
    """
    return guarded(common, lambda: _errors(code.upper(), common))


def _errors(code: str, common: Common) -> int:
    from flowmesh.errors import REASONS
    from flowmesh.errors.explained import explanation_of, nearest_code

    if not code:
        if common.structured:
            output.document({reason.name: reason.meaning for reason in REASONS.values()})
        else:
            rows = [(reason.name, reason.meaning) for reason in REASONS.values()]
            output.columns(("CODE", "MEANING"), rows)
        return exit_codes.DONE
    if code not in REASONS:
        near = nearest_code(code)
        hint = f"did you mean {near}?" if near else "`flowmesh errors` lists all of them"
        raise Refused(f"there is no error {code}", hint, exit_codes.USAGE)
    reason, explained = REASONS[code], explanation_of(code)
    if common.structured:
        output.document(
            {
                "code": code,
                "meaning": reason.meaning,
                "httpStatus": reason.error.http_status,
                "grpcCode": reason.error.grpc_code,
                "explanation": explained.text if explained else None,
                "wrong": explained.wrong if explained else None,
                "right": explained.right if explained else None,
            }
        )
        return exit_codes.DONE
    output.line(f"{code}: {reason.meaning}")
    output.line(f"HTTP {reason.error.http_status}, gRPC {reason.error.grpc_code}")
    if explained is not None:
        output.line()
        output.line(explained.text)
        for title, example in (("Wrong:", explained.wrong), ("Right:", explained.right)):
            if example:
                output.line()
                output.line(title)
                output.line()
                for line in example.splitlines():
                    output.line(f"    {line}".rstrip())
    return exit_codes.DONE
