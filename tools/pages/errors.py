"""docs/errors.md from the table of reasons."""

from flowmesh.errors import REASONS, FlowmeshError, Reason
from tools.pages import markdown


def page() -> str:
    lines = markdown.title("Errors", source="`libs/flowmesh/errors`")
    lines += [
        "Every error has a class, which decides its HTTP status and its gRPC code,",
        "and a reason, which never changes and is what a program should look at.",
        "",
        'Over REST an error is `{"error": {"code", "reason", "message", "details"}}`;',
        "over gRPC it is a `google.rpc.Status` with an `ErrorInfo` of the domain `flowmesh`,",
        "`BadRequest` violations where several places are wrong,",
        "and `RetryInfo` where coming back later helps.",
        "",
        "Those of definitions have [a page each](errors/README.md) with an example;",
        "`flowmesh errors CODE` prints it.",
        "",
    ]
    classes: dict[type[FlowmeshError], list[Reason]] = {}
    for reason in REASONS.values():
        classes.setdefault(reason.error, []).append(reason)
    for error in FlowmeshError.__subclasses__():
        lines += [f"## {error.__name__}: {error.http_status} {error.grpc_code}", ""]
        rows = classes.get(error, [])
        lines += markdown.table(
            ("reason", "meaning"), ((markdown.code(row.name), row.meaning) for row in rows)
        )
    return markdown.join(lines)
