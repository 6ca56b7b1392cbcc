"""docs/errors.md from the table of reasons."""

from flowmesh.errors import REASONS, FlowmeshError, Reason
from tools.pages import markdown


def page() -> str:
    lines = markdown.title("Errors", source="`libs/flowmesh/errors`")
    lines += [
        "Every error has a class, which determines its HTTP status and gRPC code,",
        "and a stable reason for programs.",
        "",
        'Over REST an error is `{"error": {"code", "reason", "message", "details"}}`;',
        "over gRPC it is a `google.rpc.Status` with an `ErrorInfo` of the domain `flowmesh`,",
        "`BadRequest` violations for several problems,",
        "and `RetryInfo` if a retry helps.",
        "",
        "Each error of definitions has [a page](errors/README.md) with an example;",
        "`flowmesh errors CODE` prints it.",
        "",
    ]
    classes: dict[type[FlowmeshError], list[Reason]] = {}
    for reason in REASONS.values():
        classes.setdefault(reason.error, []).append(reason)
    kinds = dict.fromkeys((*FlowmeshError.__subclasses__(), *classes))
    # Other errors come last.
    kinds.pop(FlowmeshError)
    kinds[FlowmeshError] = None
    for error in kinds:
        lines += [f"## {error.__name__}: {error.http_status} {error.grpc_code}", ""]
        rows = classes.get(error, [])
        lines += markdown.table(
            ("reason", "meaning"), ((markdown.code(row.name), row.meaning) for row in rows)
        )
    return markdown.join(lines)
