"""Probes of what a definition may hold beside its graph, its retries and its expressions."""

import base64

from google.protobuf import descriptor_pb2

from flowmesh.contract.json_value import Json
from tests.badinput.bench import Bench
from tests.badinput.probes import PROBES, native, noop, probe, retried, transform

__all__ = ["PROBES"]
LARGE = 2**22
LIMIT_TO_ONE = transform("{{input.a}}", [{"operation": "limit", "count": 1}])


def task(kind: str, word: str, **block: Json) -> Json:
    return {**native(), "kind": "WorkflowTask", "spec": {"type": kind, word: block}}


def python(**limits: Json) -> Json:
    return task("python", "python", code="return 1", limits=limits)


def statement(text: str = "select 1", **more: Json) -> Json:
    return task("db.query", "db", connection="c", statement=text, **more)


def cron(trigger_id: str = "t", expression: str = "@daily", **more: Json) -> Json:
    return {"id": trigger_id, "cron": {"expression": expression, **more}}


@probe("key of a definition")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(input={"k" * n: 1})))


@probe("batch of a map")
async def _(bench: Bench, n: int) -> str:
    body = {"items": [1], "batch": n, "tasks": [noop()]}
    return await bench.validated(native({"id": "m", "map": body}))


@probe("triggers of a workflow")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(), triggers=[cron(f"t{i}") for i in range(n)]))


@probe("missed instants that a trigger catches up")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(), triggers=[cron(catchUp="ALL", catchUpMax=n)]))


@probe("cron expression")
async def _(bench: Bench, n: int) -> str:
    days = "* * * *"
    return await bench.validated(
        native(noop(), triggers=[cron(expression="0".ljust(n - len(days)) + days)])
    )


@probe("resources of a template of workflows")
async def _(bench: Bench, n: int) -> str:
    resources = [{**native(noop()), "metadata": {"name": f"w{number}"}} for number in range(n)]
    spec = {"resources": resources}
    return await bench.validated({**native(), "kind": "WorkflowTemplate", "spec": spec})


@probe("search attributes of a workflow")
async def _(bench: Bench, n: int) -> str:
    fields = {f"a{i}": {"type": "text", "from": "{{input.a}}"} for i in range(n)}
    return await bench.validated(native(noop(), searchAttributes=fields))


@probe("variables of a workflow")
async def _(bench: Bench, n: int) -> str:
    variables = {f"v{i}": {"schema": {}, "initial": 1} for i in range(n)}
    return await bench.validated(native(noop(), variables=variables))


@probe("first value of a variable")
async def _(bench: Bench, n: int) -> str:
    one = {"schema": {}, "initial": "x" * (n - 2)}
    return await bench.validated(native(noop(), variables={"v": one}))


@probe("retention of a workflow")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(), retention=f"{n}ms"))


@probe("concurrency of a limit")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(), limits={"concurrency": n}))


@probe("rate of a limit")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(), limits={"rate": n}))


@probe("retries of a limit")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(), limits={"retries": n}))


@probe("labels that a task requires")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(requires={f"l{i}": "x" for i in range(n)})))


@probe("permissions of a task")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(
        native(LIMIT_TO_ONE | {"permissions": [f"p{i}" for i in range(n)]})
    )


@probe("secrets that a task declares")
async def _(bench: Bench, n: int) -> str:
    spec = {"type": "theirs", "config": {}, "secrets": [f"s{i}" for i in range(n)]}
    return await bench.validated({**native(), "kind": "WorkflowTask", "spec": spec})


@probe("multiplier of a retry policy")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(retried(backoffMultiplier=n))


@probe("time for which a result is cached")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(LIMIT_TO_ONE | {"cache": {"ttl": f"{n}ms"}}))


@probe("nesting of a condition")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(condition="(" * n + "true" + ")" * n)))


@probe("approvals that a task needs")
async def _(bench: Bench, n: int) -> str:
    approval = {"assignees": ["a"], "needs": n}
    return await bench.validated(native({"id": "a", "approval": approval}))


@probe("levels that flatten flattens")
async def _(bench: Bench, n: int) -> str:
    one = {"operation": "flatten", "depth": n}
    return await bench.validated(native(transform("{{input.a}}", [one])))


@probe("length that pad fills up to")
async def _(bench: Bench, n: int) -> str:
    one = {"operation": "pad", "length": n}
    return await bench.validated(native(transform("{{input.a}}", [one])))


@probe("digits that round keeps")
async def _(bench: Bench, n: int) -> str:
    one = {"operation": "round", "digits": n}
    return await bench.validated(native(transform("{{input.a}}", [one])))


@probe("code, message or key")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(task("log", "log", message="x" * n))


@probe("SQL statement")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(statement("select 1".ljust(n)))


@probe("parameters of a statement")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(statement(parameters={f"p{i}": i for i in range(n)}))


@probe("rows of a query")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(statement(maxRows=n))


def _descriptors(characters: int) -> str:
    """A descriptor set with the method `a.B/C`, in so many characters of base64."""
    service = descriptor_pb2.ServiceDescriptorProto(name="B")
    service.method.add(name="C", input_type=".a.M", output_type=".a.M")
    message = descriptor_pb2.DescriptorProto(name="M")
    file = descriptor_pb2.FileDescriptorProto(
        name="a.proto", package="a", message_type=[message], service=[service]
    )
    wanted = characters // 4 * 3 - 2
    files = descriptor_pb2.FileDescriptorSet(file=[file])
    # The name fills it up; the longer it is, the more bytes its length takes.
    while (missing := wanted - files.ByteSize()) > 0:
        files.file[0].name = "a" * (len(files.file[0].name) + max(1, missing - 16))
    return base64.b64encode(files.SerializeToString()).decode().ljust(characters, "=")


@probe("descriptors of a gRPC call")
async def _(bench: Bench, n: int) -> str:
    if n > LARGE:
        return await bench.raw("POST", "/api/v1/workflows", n)
    call = {"target": "a:1", "method": "a.B/C", "descriptors": _descriptors(n)}
    return await bench.validated(task("grpc.call", "grpc", **call))


@probe("memory of a Python task")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(python(memoryMiB=n))


@probe("CPU of a Python task")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(python(cpuSeconds=n))


@probe("output of a Python task")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(python(outputBytes=n))


@probe("mocks of a dry run")
async def _(bench: Bench, n: int) -> str:
    """They are of no node, so it never runs; which of the two was wrong is in the message."""
    path = f"/api/v1/workflows/{await bench.idle()}:dryRun"
    if n > LARGE // 8:
        return await bench.raw("POST", path, LARGE * 4)
    answer = await bench.suite.post(path, {"mocks": {f"m{i}": {"output": 1} for i in range(n)}})
    return str(answer.json["error"]["reason"]) if "at most" in answer.text else ""
