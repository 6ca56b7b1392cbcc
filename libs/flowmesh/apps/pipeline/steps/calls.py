"""Steps that call others: HTTP, services, pipelines, brokers, caches."""

import asyncio
from collections.abc import Mapping

import orjson

from flowmesh.apps.catalog.retries import read_retry
from flowmesh.apps.catalog.values import ValueMismatch
from flowmesh.apps.data.effects import EFFECT_KEY, step_scope
from flowmesh.apps.http.messages import Response, json_or_text
from flowmesh.apps.http.problems import HttpProblem
from flowmesh.apps.http.trace_context import TRACEPARENT
from flowmesh.apps.messaging.messages import message_id_of
from flowmesh.apps.pipeline.context import StepContext
from flowmesh.apps.pipeline.run import Output, Run, StepCall
from flowmesh.apps.pipeline.starting import PIPELINE
from flowmesh.apps.pipeline.templates import Compiling, Render, as_text, compile_path, compile_value
from flowmesh.apps.wiring.ports import BROKER, CACHE, DELEGATE, HTTP_CLIENT
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry

_WRITES = frozenset({"POST", "PUT", "PATCH"})
ITEMS_MAX = 10_000


def http_call(context: StepContext) -> StepCall:
    """Compile step.http_call; a status of 400 or more fails the step."""
    config = context.spec.config
    url, headers, body = context.value("url"), context.value("headers"), context.value("body")
    method = str(config["method"])
    timeout_s = float(config["timeout"])
    success = frozenset(int(each) for each in config.get("success") or ())
    retry = _retry(context)
    client = str(config.get("client") or "")
    find = context.services.later(HTTP_CLIENT, client)

    async def call(run: Run) -> Output:
        given = {k: as_text(v) for k, v in (headers(run) if headers is not None else {}).items()}
        content: bytes | None = None
        if body is not None or method in _WRITES:
            value = body(run) if body is not None else run.current
            content = value.encode() if isinstance(value, str) else orjson.dumps(value)
            if not any(name.lower() == "content-type" for name in given):
                given["Content-Type"] = "application/json"
        effect = EFFECT_KEY.get()
        if effect and not any(name.lower() == "idempotency-key" for name in given):
            given["Idempotency-Key"] = effect
        target = as_text(url(run)) if url is not None else ""
        answer = await find().send(method, target, given, content, timeout_s, retry)
        if answer.status >= 400 and answer.status not in success:
            detail = f"{method} {target.partition('?')[0]} answered {answer.status}"
            raise HttpProblem(502, "UPSTREAM_FAILED", detail)
        return {
            "status_code": answer.status,
            "status": answer.status,
            "headers": answer.headers,
            "body": _content(answer.headers, answer.body),
        }

    return call


def _retry(context: StepContext) -> Retry | None:
    """Return the retry of a step; None for those of its client."""
    raw = context.spec.config.get("retry")
    try:
        return read_retry(raw) if raw else None
    except ValueMismatch as error:
        context.error("APP_CONFIG_INVALID", f"retry {error}", "retry")
        return None


def _content(headers: Mapping[str, str], body: bytes) -> Json:
    if "json" in headers.get("content-type", ""):
        return json_or_text(body)
    return body.decode("utf-8", "replace")


def delegate(context: StepContext) -> StepCall:
    """Compile step.delegate: the answer of a handler ends the run, another result is an output."""
    config = context.spec.config
    name, operation = str(config.get("service") or ""), str(config.get("operation") or "")
    given = context.value("input")
    find = context.services.later(DELEGATE, name)

    async def call(run: Run) -> Output:
        value = given(run) if given is not None else run.current
        result = await find()(operation, value, run.request)
        if isinstance(result, Response):
            run.response = result
            return {}
        return {"delegated_to": name, "result": result}

    return call


def publish(context: StepContext) -> StepCall:
    """Compile step.publish."""
    config = context.spec.config
    topic, payload = context.value("topic"), context.value("payload")
    key, headers = context.value("key"), context.value("headers")
    find = context.services.later(BROKER, str(config.get("broker") or ""))

    async def call(run: Run) -> Output:
        name = as_text(topic(run)) if topic is not None else ""
        value = payload(run) if payload is not None else run.current
        given = dict(headers(run)) if headers is not None else {}
        if trace := TRACEPARENT.get():
            given.setdefault("traceparent", trace)
        with message_id_of(EFFECT_KEY.get()):
            id = await find().publish(
                name,
                value,
                key=as_text(key(run)) if key is not None else "",
                headers={str(k): as_text(v) for k, v in given.items()},
            )
        return {"published": True, "topic": name, "id": id}

    return call


def pipeline(context: StepContext) -> StepCall:
    """Compile step.pipeline: the outputs of another pipeline become the output."""
    name = str(context.spec.config["name"])
    given = context.value("input")
    find = context.services.later(PIPELINE, name)

    async def call(run: Run) -> Output:
        value = given(run) if given is not None else run.current
        data = dict(value) if isinstance(value, dict) else {"input": value}
        inner = Run(data, meta=run.identity, journal=run.journal)
        inner.sessions = run.sessions
        await find().execute(inner)
        if inner.response is not None:
            return {"status": inner.response.status, "body": json_or_text(inner.response.body)}
        return dict(inner.current)

    return call


def foreach(context: StepContext) -> StepCall:
    """Compile step.foreach: its steps run once for each item."""
    config = context.spec.config
    name, concurrency = str(config["as"]), int(config["concurrency"])
    items = _items(config.get("items"), context)
    steps = context.inner(config.get("steps") or [], context.spec.at / "config" / "steps")

    async def call(run: Run) -> Output:
        found = items(run)
        if not isinstance(found, list):
            raise HttpProblem(422, "ITEMS_INVALID", "items is not a list")
        if len(found) > ITEMS_MAX:
            raise HttpProblem(422, "ITEMS_INVALID", f"items has more than {ITEMS_MAX} entries")
        gate = asyncio.Semaphore(concurrency)

        async def one(index: int, item: Json) -> Json:
            async with gate:
                data = {**run.current, name: item, "index": index}
                inner = Run(data, request=run.request, meta=run.meta, journal=run.journal)
                inner.steps = dict(run.steps)
                inner.sessions = run.sessions
                with step_scope(f"item {index}"):
                    await steps.execute(inner)
                done = {k: v for k, v in inner.steps.items() if k not in run.steps}
                return {"item": item, "steps": done}

        if concurrency == 1:
            results = [await one(index, item) for index, item in enumerate(found)]
        else:
            results = list(await asyncio.gather(*(one(i, each) for i, each in enumerate(found))))
        return {"results": results, "count": len(results)}

    return call


def _items(raw: Json, context: StepContext) -> Render:
    compiling: Compiling = context.compiling
    if isinstance(raw, str):
        compiled: Render = context.checked("items", lambda: compile_path(raw, compiling))
    else:
        compiled = context.checked("items", lambda: compile_value(raw, compiling))
    return compiled


def cache(context: StepContext) -> StepCall:
    """Compile step.cache."""
    config = context.spec.config
    operation, ttl = config["operation"], config.get("ttl")
    key, value = context.value("key"), context.value("value")
    find = context.services.later(CACHE, str(config.get("cache") or ""))

    async def call(run: Run) -> Output:
        name = as_text(key(run)) if key is not None else ""
        store = find()
        if operation == "set":
            content = value(run) if value is not None else run.current
            await store.set(name, content, float(ttl) if ttl is not None else None)
            return {"stored": True}
        if operation == "delete":
            return {"deleted": await store.delete(name)}
        found = await store.get(name)
        return {"value": found, "hit": found is not None}

    return call
