"""One probe for each limit: asks the running suite for so much, tells what became of it."""

import itertools
import json
from collections.abc import Awaitable, Callable

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import definition_service_pb2 as definitions
from flowmesh.api.execution.v1 import execution_service_pb2 as executions
from flowmesh.contract.json_value import Json
from tests.badinput.bench import EXECUTIONS, INLINE_BYTES, VALIDATE, Bench
from tests.badinput.frames import claimed
from tests.features.steps import step

Probe = Callable[[Bench, int], Awaitable[str]]
PROBES: dict[str, Probe] = {}
NOBODY = "no-such-workflow"
REGISTER_WORKFLOW = "/flowmesh.api.definition.v1.DefinitionService/RegisterWorkflow"
LIST = "/flowmesh.api.definition.v1.DefinitionService/ListWorkflows"


def probe(what: str) -> Callable[[Probe], Probe]:
    def keep(function: Probe) -> Probe:
        PROBES[what] = function
        return function

    return keep


def steps(*given: Json, **more: Json) -> Json:
    return {"id": "limits", "steps": list(given), **more}


def native(*tasks: Json, **spec: Json) -> Json:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": "limits"},
        "spec": {"tasks": list(tasks), **spec},
    }


def noop(node_id: str = "a", **more: Json) -> Json:
    return {"id": node_id, "taskRef": "noop", **more}


def transform(source: Json, pipeline: Json) -> Json:
    return {"id": "t", "taskRef": "transform", "input": {"source": source, "pipeline": pipeline}}


async def waiting(bench: Bench) -> Json:
    """A workflow whose one task waits for a worker that does not come."""
    task = {"kind": "WorkflowTask", "metadata": {"name": "theirs"}, "spec": {"type": "theirs"}}
    await bench.suite.post("/api/v1/tasks", {"apiVersion": "workflow.io/v1", **task})
    return native({"id": "a", "taskRef": "theirs"})


# --- calls ---


@probe("gRPC message")
async def _(bench: Bench, n: int) -> str:
    if n > 2**27:
        return await claimed(bench.suite.grpc_address, f"{EXECUTIONS}/GetExecution", n)
    around = len(executions.GetExecutionRequest(execution_id="x" * (n - 5)).SerializeToString()) - n
    request = executions.GetExecutionRequest(execution_id="x" * (n - 5 - around))
    assert request.ByteSize() == n
    found = await bench.call(f"{EXECUTIONS}/GetExecution", request)
    return "" if found in ("EXECUTION_NOT_FOUND", "ID_INVALID") else found


@probe("REST body")
async def _(bench: Bench, n: int) -> str:
    if n > 2**24:
        return await bench.raw("POST", "/workflows", n)
    source = json.dumps(steps({"id": "a"})).encode()
    body = source + b" " * (n - len(source))
    answer = await bench.suite.post(
        "/api/v1/workflows:validate", data=body, headers={"content-type": "application/json"}
    )
    return "" if answer.status == 200 else str(answer.json["error"]["reason"])


@probe("REST text")
async def _(bench: Bench, n: int) -> str:
    path = f"/api/v1/executions/{NOBODY}:cancel"
    answer = await bench.suite.post(path, {"reason": "x" * n})
    found = str(answer.json["error"]["reason"])
    return "" if found == "EXECUTION_NOT_FOUND" else found


@probe("nesting of a JSON value")
async def _(bench: Bench, n: int) -> str:
    # The envelope is one level, the value inside it the others.
    data = b'{"workflowId":"%s","context":' % NOBODY.encode()
    data += b'{"a":' * (n - 1) + b"1" + b"}" * (n - 1) + b"}"
    answer = await bench.suite.post(
        "/executions/start", data=data, headers={"content-type": "application/json"}
    )
    found = str(answer.json["error"]["reason"])
    return "" if found == "WORKFLOW_NOT_FOUND" else found


@probe("integer of a JSON value")
async def _(bench: Bench, n: int) -> str:
    data = b'{"workflowId":"%s","context":{"n":%d}}' % (NOBODY.encode(), n)
    answer = await bench.suite.post(
        "/executions/start", data=data, headers={"content-type": "application/json"}
    )
    found = str(answer.json["error"]["reason"])
    return "" if found == "WORKFLOW_NOT_FOUND" else found


@probe("id")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(steps({"id": "x" * n}))


@probe("request id")
async def _(bench: Bench, n: int) -> str:
    return await bench.started(request_id="x" * n)


@probe("filter of a list")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(LIST, definitions.ListWorkflowsRequest(filter="id:x".ljust(n)))


@probe("terms of a filter")
async def _(bench: Bench, n: int) -> str:
    terms = " ".join(f"label.l{number}=x" for number in range(n))
    return await bench.call(LIST, definitions.ListWorkflowsRequest(filter=terms))


@probe("payload inside a message")
async def _(bench: Bench, n: int) -> str:
    if n > 2**23:
        return await claimed(bench.suite.grpc_address, f"{EXECUTIONS}/StartExecution", n)
    return await bench.started(input=payload_pb2.Payload(data=b'"' + b"x" * (n - 2) + b'"'))


@probe("media type of a payload")
async def _(bench: Bench, n: int) -> str:
    return await bench.started(input=payload_pb2.Payload(data=b"{}", encoding="x" * n))


@probe("stored payload")
async def _(bench: Bench, n: int) -> str:
    if n > 2**27:
        return await bench.raw("PUT", "/api/v1/payloads", n)
    answer = await bench.suite.put("/api/v1/payloads", data=bytes(n))
    return "" if answer.status < 300 else str(answer.json["error"]["reason"])


# --- definitions ---


@probe("definition")
async def _(bench: Bench, n: int) -> str:
    if n > 2**27:
        return await claimed(bench.suite.grpc_address, VALIDATE, n)
    source = b'{"id":"limits","steps":[{"id":"a"}]}'.ljust(n)
    request = definitions.RegisterWorkflowRequest(source=source)
    return await bench.call(REGISTER_WORKFLOW, request)


@probe("documents of a source")
async def _(bench: Bench, n: int) -> str:
    head = "apiVersion: workflow.io/v1\nkind: WorkflowTask\n"
    one = head + "metadata: {{name: t{}}}\nspec: {{type: noop}}\n"
    return await bench.validated("---\n".join(one.format(number) for number in range(n)).encode())


@probe("nesting of a definition")
async def _(bench: Bench, n: int) -> str:
    inner = b"[" * (n - 2) + b"]" * (n - 2)
    return await bench.validated(b'{"id":"w","steps":[{"id":"a"}],"metadata":{"x":%s}}' % inner)


@probe("nodes of a workflow")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(
        b'{"id":"w","steps":[%s]}' % b",".join(b'{"id":"%d"}' % number for number in range(n))
    )


@probe("dependencies of a workflow")
async def _(bench: Bench, n: int) -> str:
    """As few nodes as hold so many, each behind all before it."""
    if n > 2**24:
        return await bench.raw("POST", "/workflows", n)
    nodes, left, number = [], n, 0
    while left > 0:
        before = min(number, left)
        names = ",".join(f'"{other:x}"' for other in range(before))
        nodes.append(f'{{"id":"{number:x}","dependencies":[{names}]}}')
        left -= before
        number += 1
    return await bench.validated(f'{{"id":"w","steps":[{",".join(nodes)}]}}'.encode())


@probe("bodies in bodies")
async def _(bench: Bench, n: int) -> str:
    inner = '{"id":"a","taskRef":"noop"}'
    for level in range(n):
        inner = f'{{"id":"m{level}","map":{{"items":[1],"tasks":[{inner}]}}}}'
    head = json.dumps(native(), separators=(",", ":"))
    return await bench.validated(head.replace('"tasks":[]', f'"tasks":[{inner}]').encode())


@probe("rounds of a loop")
async def _(bench: Bench, n: int) -> str:
    body = {"while": "false", "rounds": n, "tasks": [noop()]}
    return await bench.validated(native({"id": "l", "loop": body}))


@probe("concurrency of a map")
async def _(bench: Bench, n: int) -> str:
    body = {"items": [1], "concurrency": n, "tasks": [noop()]}
    return await bench.validated(native({"id": "m", "map": body}))


@probe("display name")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(steps({"id": "a"}, name="x" * n))


@probe("description")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(steps({"id": "a"}, description="x" * n))


@probe("URL")
async def _(bench: Bench, n: int) -> str:
    url = "http://a/"
    params = {"url": url + "x" * (n - len(url)), "method": "GET"}
    return await bench.validated(steps(step("a", "http.request", params)))


@probe("labels")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(steps({"id": "a"}, labels={f"l{i}": "x" for i in range(n)}))


@probe("label")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(steps({"id": "a"}, labels={"l": "x" * n}))


@probe("timeout")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(steps({"id": "a"}, timeout=n))


@probe("delay")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(steps(step("a", "delay", {"duration": n})))


def retried(**policy: Json) -> Json:
    params = {"url": "http://a/", "method": "GET"}
    return steps(step("a", "http.request", params, retryPolicy={"maxAttempts": 2, **policy}))


@probe("attempts of a retry policy")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(retried(maxAttempts=n))


@probe("delay of a retry policy")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(retried(initialDelay=n, maxDelay=n))


@probe("classes of a retry policy")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(retried(retryOn=[f"Class{i}" for i in range(n)]))


@probe("JSON Schema")
async def _(bench: Bench, n: int) -> str:
    empty = '{"description":""}'
    return await bench.validated(
        steps({"id": "a"}, inputSchema={"description": "x" * (n - len(empty))})
    )


@probe("subschemas")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(steps({"id": "a"}, inputSchema={"anyOf": [{}] * (n - 1)}))


@probe("regular expression")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(steps({"id": "a"}, inputSchema={"pattern": "x" * n}))


def condition(text: str) -> Json:
    return native(noop(condition=text))


@probe("condition")
async def _(bench: Bench, n: int) -> str:
    spec = {"type": "condition", "condition": {"expression": "input.a == 1".ljust(n)}}
    return await bench.validated({**native(), "kind": "WorkflowTask", "spec": spec})


@probe("parts of a condition")
async def _(bench: Bench, n: int) -> str:
    # A literal is one part, each further one with its operator two more.
    return await bench.validated(
        condition("!" * ((n + 1) % 2) + "&&".join(["true"] * ((n + 1) // 2)))
    )


@probe("comprehensions in comprehensions")
async def _(bench: Bench, n: int) -> str:
    text = "true"
    for level in range(n):
        text = f"input.a.all(x{level}, {text})"
    return await bench.validated(condition(text))


def decision(*conditions: Json) -> Json:
    spec = {"type": "decision", "decision": {"conditions": list(conditions)}}
    return {**native(), "kind": "WorkflowTask", "spec": spec}


@probe("parts of a JSONPath")
async def _(bench: Bench, n: int) -> str:
    one = {"id": "c", "language": "jsonpath", "expression": "$" + ".a" * (n - 2)}
    return await bench.validated(decision(one))


@probe("conditions of a decision")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(decision(*({"id": f"c{i}", "expression": "1"} for i in range(n))))


@probe("calls inside calls of a template")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(input="{{" + "trim(" * n + "input" + ")" * n + "}}")))


@probe("references of a template")
async def _(bench: Bench, n: int) -> str:
    return await bench.validated(native(noop(input=["{{input.a}}"] * n)))


@probe("operations of a pipeline")
async def _(bench: Bench, n: int) -> str:
    one = {"operation": "limit", "count": 1}
    return await bench.validated(native(transform("{{input.a}}", [one] * n)))


@probe("pattern of a pipeline")
async def _(bench: Bench, n: int) -> str:
    one = {"operation": "filter", "field": "a", "operator": "matches", "value": "x" * n}
    return await bench.validated(native(transform("{{input.a}}", [one])))


@probe("JavaScript")
async def _(bench: Bench, n: int) -> str:
    code = "return 1;"
    return await bench.validated(steps(step("a", "function", {"code": code.ljust(n)})))


# --- runs ---


@probe("text that a template writes")
async def _(bench: Bench, n: int) -> str:
    text, rest = "x" * (n // 100), "x" * (n % 100)
    task = transform(["{{input.t}}" * 100 + rest], [{"operation": "limit", "count": 0}])
    return await bench.ran(native(task), json.dumps({"t": text}).encode())


@probe("values a comprehension looks at")
async def _(bench: Bench, n: int) -> str:
    """The list and what holds it are values too."""
    task = noop(condition="input.all(x, x > 0)")
    return await bench.ran(native(task), b"[" + b",".join([b"1"] * (n - 3)) + b"]")


@probe("items of a map")
async def _(bench: Bench, n: int) -> str:
    if n > 2**24:
        return await bench.raw("PUT", "/api/v1/payloads", 2 * n)
    (task,) = (await waiting(bench))["spec"]["tasks"]
    body = {"items": "{{input}}", "concurrency": 1, "tasks": [task]}
    data = b"[" + b",".join([b"1"] * n) + b"]"
    return await bench.ran(native({"id": "m", "map": body}), data, wait_ms=5_000)


def http(url: str, **more: Json) -> Json:
    retry = {"maxAttempts": 1}
    return steps(
        step("a", "http.request", {"url": url, "method": "GET", **more}, retryPolicy=retry)
    )


@probe("answer of a called service")
async def _(bench: Bench, n: int) -> str:
    return await bench.ran(http(f"{bench.url}/bytes/{n}"))


@probe("redirects")
async def _(bench: Bench, n: int) -> str:
    return await bench.ran(http(f"{bench.url}/hops/{n}"))


@probe("headers of a call")
async def _(bench: Bench, n: int) -> str:
    """Two are the suite's own: the key and the trace. Constant ones are refused earlier."""
    given = {f"x-{number}": "{{context.v}}" for number in range(n - 2)}
    if n > 1_000:
        return await bench.validated(http(f"{bench.url}/bytes/1", headers=given))
    return await bench.ran(http(f"{bench.url}/bytes/1", headers=given), b'{"v": "1"}')


@probe("nesting of an answer")
async def _(bench: Bench, n: int) -> str:
    return await bench.ran(http(f"{bench.url}/deep/{n}"))


@probe("XML answer")
async def _(bench: Bench, n: int) -> str:
    return await bench.ran(http(f"{bench.url}/xml/1/{n}"))


@probe("nesting of XML")
async def _(bench: Bench, n: int) -> str:
    return await bench.ran(http(f"{bench.url}/xml/{n}/0"))


def function(code: str, **more: Json) -> Json:
    return steps(step("a", "function", {"code": code}, **more))


@probe("CPU of JavaScript")
async def _(bench: Bench, n: int) -> str:
    """A fifth below the limit is within it; six times as long is not, however busy the machine."""
    ms = n * 4 // 5 if n == 5_000 else n * 6
    return await bench.ran(function(f"const t = Date.now(); while (Date.now() - t < {ms}) {{}}"))


@probe("memory of JavaScript")
async def _(bench: Bench, n: int) -> str:
    """The language itself needs some of it."""
    size = n - 2**20 * 4 if n == 2**26 else n
    return await bench.ran(function(f"return new Uint8Array({size}).length"))


@probe("result of JavaScript")
async def _(bench: Bench, n: int) -> str:
    if n > 2**26:
        return await bench.ran(function(f"return 'x'.repeat({n} / 8)"))
    return await bench.ran(function(f"return 'x'.repeat({n - 2})"))


# --- executions ---


@probe("signals of an execution")
async def _(bench: Bench, n: int) -> str:
    return await bench.signaled(await waiting(bench), itertools.repeat(b"1", n))


@probe("inline payloads of the signals of an execution")
async def _(bench: Bench, n: int) -> str:
    whole, rest = divmod(n, INLINE_BYTES)
    # A text of JSON, or a digit of a single byte.
    texts = [b'"%s"' % (b"x" * (size - 2)) if size > 1 else b"1" for size in (rest, INLINE_BYTES)]
    payloads = itertools.chain(texts[:1] if rest else [], texts[1:] * whole)
    return await bench.signaled(await waiting(bench), payloads)
