"""`errors`: what an error code means, or a reason for which something waits."""

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, guarded
from flowmesh.cli.refusals import Refused


def errors(code: str = "", /, *, common: Common = COMMON) -> int:
    """Explain an error code, or a cause that `explain` or `trace` names; without one list all.

    Parameters
    ----------
    code
        As in brackets behind a message: GRAPH_CYCLE, NO_WORKER.
    """
    return guarded(common, lambda: _explain(code, common) if code else _list(common))


class _Named(dict[str, str]):
    """Stands for the details of a cause: each shows its name."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def causes() -> dict[str, tuple[str, str]]:
    """What each cause of `explain` and each reason of `trace` means, and what helps."""
    from flowmesh.insight.causes import TEXTS
    from flowmesh.insight.traces import COST_TEXTS

    waits = {name.upper(): (f"The task {text}.", "") for name, text in COST_TEXTS.items()}
    told = {
        str(cause): (texts.sentence.format_map(_Named()), texts.remedy.format_map(_Named()))
        for cause, texts in TEXTS.items()
    }
    return waits | told


def classes() -> dict[str, tuple[str, str]]:
    """What each class of failed attempts means."""
    from flowmesh.errors.failures import FAILURE_CLASSES

    return {name: (meaning, "") for name, meaning in FAILURE_CLASSES.items()}


def _list(common: Common) -> int:
    from flowmesh.errors import REASONS

    meanings = {name: meaning for name, (meaning, _) in (causes() | classes()).items()}
    meanings |= {reason.name: reason.meaning for reason in REASONS.values()}
    if common.structured:
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
        what = "A cause that `flowmesh explain` or `flowmesh trace` names, not an error."
        return _show_other(name, what, *causes()[name], common)
    if name:
        what = "A class of failed attempts; retry policies name it in `retryOn` and `neverOn`."
        return _show_other(name, what, *classes()[name], common)
    from difflib import get_close_matches

    near = get_close_matches(code.upper(), named, n=1)
    hint = f"did you mean {named[near[0]]}?" if near else "`flowmesh errors` lists all of them"
    raise Refused(f"there is no error {code}", hint, exit_codes.USAGE)


def _show_other(code: str, what: str, meaning: str, remedy: str, common: Common) -> int:
    if common.structured:
        output.document({"code": code, "meaning": meaning, "remedy": remedy or None})
        return exit_codes.DONE
    output.paragraph(f"{code}: {meaning}")
    output.paragraph(what)
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
        output.line(explained.text)
        for title, example in (("Wrong:", explained.wrong), ("Right:", explained.right)):
            if example:
                output.line()
                output.line(title)
                output.line()
                for line in example.splitlines():
                    output.line(f"    {line}".rstrip())
    return exit_codes.DONE
