"""`call: grpc` of Serverless Workflow: one unary call by the task `grpc.call`.

`proto` describes the messages: a compiled descriptor set in a `data:` URI, or the address of a
service with reflection, `grpc://host:port`.
"""

from flowmesh.definitions.formats.native import calls
from flowmesh.definitions.formats.serverless.blocks import call_task
from flowmesh.definitions.formats.serverless.compiler import TaskContext
from flowmesh.definitions.formats.serverless.values import JsonObject, unsupported
from flowmesh.definitions.model import NO_RETRY, Dialect, Task
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import Reader

PORT_MAX = 65_535
# Key in the metadata of a call: false for a service without TLS.
TLS = "flowmesh.io/tls"
_DESCRIPTORS = "data:application/octet-stream;base64,"
_COMPILE = (
    "write grpc://host:port of a service with reflection, or "
    f"{_DESCRIPTORS}… with the output of `protoc --include_imports --descriptor_set_out`"
)


def compile_grpc(context: TaskContext) -> None:
    if not context.reader.has("with"):
        context.reader.missing("with", "proto, service and method of the call")
    given = context.reader.object("with")
    config, places = _service(context, given)
    proto = given.object("proto")
    endpoint = proto.required_text("endpoint", _COMPILE)
    proto.text("name")
    if endpoint.startswith(_DESCRIPTORS):
        config["descriptors"] = endpoint.removeprefix(_DESCRIPTORS)
    elif endpoint and endpoint != f"grpc://{config['target']}":
        path = (*proto.path, "endpoint")
        unsupported(context.problems, f"the proto {endpoint[:64]!r}", path, _COMPILE)
    arguments = given.raw("arguments")
    if not isinstance(arguments, dict | str | None):
        given.wrong("arguments", "an object or an expression")
    for part in (proto, given):
        part.refuse_unknown()
    checked = calls.unary(Reader(config, given.path, context.problems))
    task = Task(
        "grpc",
        "grpc.call",
        {**checked, "request": "{{input}}"},
        Dialect.NATIVE,
        retry=NO_RETRY,
        config_path=given.path,
        places=places,
    )
    path = (*given.path, "arguments")
    call_task(context, task, "", {} if arguments is None else arguments, path, "result", NO_RETRY)


def _service(context: TaskContext, given: Reader) -> tuple[JsonObject, dict[Path, Path]]:
    """Return the configuration of `grpc.call`, and the paths of its parts."""
    service = given.object("service")
    name = service.required_text("name", "the service with its package, such as shop.Orders")
    host = service.required_text("host", "the name of the host")
    tls = _tls(context)
    port = service.integer("port", 443 if tls else 80, 1, PORT_MAX)
    method = given.required_text("method", "the name of the method")
    if "${" in host:
        path = (*service.path, "host")
        unsupported(context.problems, "an expression as host", path, "write the host out")
    if service.has("authentication"):
        why = "call a WorkflowTask of the type grpc.call, which has metadata"
        path = (*service.path, "authentication")
        unsupported(context.problems, "authentication of a gRPC service", path, why)
    service.refuse_unknown()
    places: dict[Path, Path] = {
        ("target",): (*service.path, "host"),
        ("request",): (*given.path, "arguments"),
    }
    return {"target": f"{host}:{port}", "method": f"{name}/{method}", "tls": tls}, places


def _tls(context: TaskContext) -> bool:
    about = context.reader.raw("metadata")
    tls = about.get(TLS, True) if isinstance(about, dict) else True
    if not isinstance(tls, bool):
        path = (*context.path, "metadata", TLS)
        context.problems.add("DEFINITION_INVALID", f"{TLS} is true or false", path)
        return True
    return tls
