"""`errors`: explanations of error codes, causes of waiting, and failure classes."""

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, command
from flowmesh.cli.refusals import Refused
from flowmesh.contract.nouns import text_of


@command
def errors(code: str = "", /, *, common: Common = COMMON) -> int:
    """Explain an error code, or a cause reported by `explain` or `trace`; without a code, list all.

    Args:
        code: Code in brackets after a message, such as GRAPH_CYCLE or NO_WORKER.
    """
    return _explain(code, common) if code else _list()


class _Placeholders(dict[str, str]):
    """Details of a cause for a template of its text: each is its name in angle brackets."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def causes() -> dict[str, tuple[str, str]]:
    """Return meaning and remedy of all causes of `explain` and reasons of `trace`."""
    from flowmesh.insight.causes import TEXTS
    from flowmesh.insight.traces import COST_TEXTS

    waits = {name.upper(): (f"The task {text}.", "") for name, text in COST_TEXTS.items()}
    names = _Placeholders()
    explained = {
        str(cause): (text_of(texts.sentence, names), text_of(texts.remedy, names))
        for cause, texts in TEXTS.items()
    }
    return waits | explained


def classes() -> dict[str, tuple[str, str]]:
    """Return the meaning of all failure classes."""
    from flowmesh.errors.failures import FAILURE_CLASSES

    return {name: (meaning, "") for name, meaning in FAILURE_CLASSES.items()}


def _list() -> int:
    from flowmesh.errors import REASONS

    meanings = {name: meaning for name, (meaning, _) in (causes() | classes()).items()}
    meanings |= {reason.name: reason.meaning for reason in REASONS.values()}
    if output.structured():
        output.document(meanings)
    else:
        output.columns(("CODE", "MEANING"), list(meanings.items()))
    return exit_codes.DONE


def _explain(code: str, common: Common) -> int:
    from flowmesh.errors import REASONS

    named = {name.upper(): name for name in (*classes(), *causes(), *REASONS)}
    name = named.get(code.upper(), "")
    if name in REASONS:
        return _show_error(name, common)
    if name in causes():
        kind = "A cause reported by `flowmesh explain` or `flowmesh trace`, not an error."
        return _show_other(name, kind, *causes()[name], common)
    if name:
        kind = "A failure class; retry policies name it in `retryOn` and `neverOn`."
        return _show_other(name, kind, *classes()[name], common)
    from difflib import get_close_matches

    near = get_close_matches(code.upper(), named, n=1)
    hint = f"did you mean {named[near[0]]}?" if near else "`flowmesh errors` lists all of them"
    raise Refused(f"there is no error {code}", hint, exit_codes.USAGE)


def _show_other(code: str, kind: str, meaning: str, remedy: str, common: Common) -> int:
    if common.structured:
        output.document({"code": code, "meaning": meaning, "remedy": remedy or None})
        return exit_codes.DONE
    output.paragraph(f"{code}: {meaning}")
    output.paragraph(kind)
    if remedy:
        output.paragraph(f"-> {remedy}")
    return exit_codes.DONE


def _show_error(code: str, common: Common) -> int:
    from flowmesh.errors import REASONS
    from flowmesh.errors.explained import explanation_of

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
        output.block(explained.text)
        for title, example in (("Wrong:", explained.wrong), ("Right:", explained.right)):
            if example:
                output.line()
                output.line(title)
                output.line()
                for line in example.splitlines():
                    output.line(f"    {line}".rstrip())
    return exit_codes.DONE
