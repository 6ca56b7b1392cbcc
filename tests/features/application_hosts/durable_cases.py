"""Pipelines and 200 requests whose answers are those of inline and of durable runs."""

import json
from collections.abc import Iterator

from flowmesh.contract.json_value import Json

WEB: Json = {"name": "web", "type": "http.server", "config": {"address": ":${PORT:-0}"}}
DATABASE: Json = {
    "name": "db",
    "type": "database.workflow",
    "config": {
        "driver": "sqlite",
        "dsn": "a.db",
        "migrations": ["CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT UNIQUE, price INT)"],
    },
}
OTHERS: list[Json] = [
    {"name": "items", "type": "api.handler", "config": {"resourceName": "items"}},
    {"name": "broker", "type": "messaging.broker"},
    {"name": "cache", "type": "cache.modular"},
]
CASES = 200


def step(name: str, type: str, rules: Json = None, /, **config: Json) -> Json:
    return {"name": name, "type": f"step.{type}", "config": config, **(rules or {})}


def route(path: str, pipeline: Json, method: str = "POST") -> Json:
    body = pipeline if isinstance(pipeline, dict) else {"steps": pipeline}
    return {"method": method, "path": path, "pipeline": body}


def app(routes: list[Json], name: str = "durably", **parts: Json) -> str:
    """Return an application with a server and a database of orders."""
    modules = [WEB, DATABASE, *parts.pop("modules", [])]
    workflows = {"http": {"routes": routes}, **parts.pop("workflows", {})}
    return json.dumps({"name": name, "modules": modules, "workflows": workflows, **parts})


BODY = step("body", "request_parse", fields=["item", "price"])
INSERT = "INSERT INTO orders (item, price) VALUES (?, ?)"
SAVE = step("save", "db_exec", database="db", query=INSERT, params=["{{ .item }}", "{{ .price }}"])
COUNT = step("count", "db_query", database="db", query="SELECT count(*) AS n FROM orders")
SAVED = step("answer", "json_response", status=201, body={"id": "{{ .steps.save.last_id }}"})
CALL = {"url": "${WORLD}/${SIDE}-{{ .route }}", "method": "POST", "body": {"n": "{{ .price }}"}}
ASK = step("ask", "http_call", **CALL)
SHOWN = step("answer", "json_response", body={"got": "{{ .steps.ask.body }}", "e": "{{ ._error }}"})

PIPELINES: dict[str, Json] = {
    "create": [
        BODY,
        step("check", "validate", source="steps.body.body", required_fields=["item", "price"]),
        SAVE,
        SAVED,
    ],
    "read": [
        BODY,
        step(
            "get",
            "db_query",
            database="db",
            query="SELECT * FROM orders WHERE price >= ? ORDER BY id LIMIT 1",
            params=["{{ .price }}"],
            mode="single",
        ),
        step("which", "conditional", field="steps.get.found", routes={"true": "yes"}, default="no"),
        step("no", "json_response", status=404, body={"none": "{{ .price }}"}),
        step("yes", "json_response", body_from="steps.get.row", headers={"X-Found": "1"}),
    ],
    "output": {
        "steps": [BODY, step("more", "set", values={"twice": ["{{ .price }}", "{{ .price }}"]})],
        "output": {"twice": "{{ .more.twice }}", "item": "{{ .item }}"},
    },
    "current": [BODY, step("more", "set", values={"a": {"b": "{{ .price }}"}})],
    "call": [BODY, step("to", "set", values={"route": "{{ .item }}"}), ASK, SHOWN],
    "skip": [
        BODY,
        step("to", "set", values={"route": "{{ .item }}"}),
        step("ask", "http_call", {"on_error": "skip"}, **CALL),
        SHOWN,
    ],
    "jump": [
        BODY,
        step("to", "set", values={"route": "broken"}),
        step("ask", "http_call", {"on_error": "instead"}, **CALL),
        SHOWN,
        step("instead", "json_response", status=203, body={"why": "{{ .steps.ask._error }}"}),
    ],
    "compensate": {
        "on_error": "compensate",
        "steps": [BODY, SAVE, step("to", "set", values={"route": "broken"}), ASK, SHOWN],
        "compensation": [
            step(
                "undo",
                "db_exec",
                database="db",
                query="DELETE FROM orders WHERE id = ?",
                params=["{{ .steps.save.last_id }}"],
            )
        ],
    },
    "retry": [
        BODY,
        step("to", "set", values={"route": "flaky"}),
        step("ask", "http_call", {"retry": {"attempts": 3, "backoff": "5ms"}}, **CALL),
        SHOWN,
    ],
    "foreach": [
        BODY,
        step(
            "each",
            "foreach",
            items="steps.body.body.list",
            **{"as": "one"},
            steps=[
                step(
                    "add",
                    "db_exec",
                    database="db",
                    query=INSERT,
                    params=["{{ .item }}-{{ .index }}", "{{ .one }}"],
                )
            ],
        ),
        COUNT,
        step("answer", "json_response", body={"each": "{{ .steps.each }}", "n": "{{ .rows }}"}),
    ],
    "nested": [
        BODY,
        step("inner", "pipeline", name="inner", input={"price": "{{ .price }}", "item": "i"}),
        step("answer", "json_response", body={"of": "{{ .steps.inner.sum }}"}),
    ],
    "raw": [
        BODY,
        step(
            "answer",
            "raw_response",
            status="{{ .price }}",
            content_type="text/csv",
            body="item,{{ .item }}\n",
        ),
    ],
    "transform": [
        BODY,
        step(
            "shape",
            "transform",
            source="steps.body.body",
            operations=[{"type": "map", "config": {"mappings": {"item": "name"}}}],
        ),
        step("answer", "json_response", body_from="steps.shape.data"),
    ],
    "publish": [
        BODY,
        step("tell", "publish", topic="orders.{{ .item }}", payload={"n": "{{ .price }}"}),
        step("answer", "json_response", body={"topic": "{{ .steps.tell.topic }}"}),
    ],
    "conditions": [
        BODY,
        step("big", "set", {"if": "price > 204"}, values={"size": "big"}),
        step("small", "set", {"skip_if": "price > 204"}, values={"size": "small"}),
        step("answer", "json_response", body={"size": "{{ .size }}"}),
    ],
    "late": [
        BODY,
        step("to", "set", values={"route": "slow"}),
        step("ask", "http_call", {"timeout": "20ms"}, **CALL),
        SHOWN,
    ],
    "limited": {
        "timeout": "40ms",
        "steps": [BODY, step("to", "set", values={"route": "slow"}), ASK, SHOWN],
    },
    "together": [
        BODY,
        step(
            "each",
            "foreach",
            items="steps.body.body.list",
            concurrency=3,
            **{"as": "price"},
            steps=[step("to", "set", values={"route": "price"}), ASK],
        ),
        step("answer", "json_response", body={"n": "{{ .steps.each.count }}"}),
    ],
    "transaction": {
        "transaction": True,
        "steps": [
            BODY,
            step("first", "db_exec", database="db", query=INSERT, params=["t-{{ .item }}", 1]),
            SAVE,
            SAVED,
        ],
    },
    "schema": [
        step(
            "check",
            "validate",
            strategy="json_schema",
            schema={"type": "object", "properties": {"price": {"type": "integer", "maximum": 204}}},
        ),
        COUNT,
        step("answer", "json_response", body={"n": "{{ .steps.count.rows }}"}),
    ],
    "strict": {
        "strict": True,
        "steps": [
            BODY,
            step("x", "set", values={"y": "{{ .steps.body.body.maybe.there }}"}),
            COUNT,
        ],
        "output": {"y": "{{ .y }}"},
    },
    "cached": [
        BODY,
        step("get", "cache", operation="get", key="{{ .item }}"),
        step("put", "cache", operation="set", key="{{ .item }}", value="{{ .price }}"),
        step("answer", "json_response", body={"was": "{{ .steps.get.value }}"}),
    ],
}
INNER: Json = {
    "steps": [
        COUNT,
        step("sum", "set", values={"sum": ["{{ .price }}", "{{ .steps.count.rows }}"]}),
    ]
}


def document(*, durable: bool) -> str:
    """Return the application, with all its routes inline or durable."""
    routes = []
    for name, pipeline in PIPELINES.items():
        body = pipeline if isinstance(pipeline, dict) else {"steps": pipeline}
        routes.append(route(f"/{name}", {**body, "durable": durable}))
    resource = {"steps": [step("to", "delegate", service="items")], "durable": durable}
    routes.append(route("/api/items", resource))
    return app(routes, "cases", modules=OTHERS, pipelines={"inner": INNER})


def requests() -> Iterator[tuple[str, Json]]:
    """Yield the paths and bodies of all cases, the same at each call."""
    names = list(PIPELINES)
    for number in range(CASES - CASES // 20):
        name, turn = names[number % len(names)], number // len(names)
        item = ("price", "broken", f"i{turn}", "price", f"{name}{number}")[turn % 5]
        body: Json = {"item": item, "price": 200 + turn, "list": list(range(turn))}
        if turn % 4 == 3:
            body["maybe"] = {"there": turn}
        if turn == 6:
            del body["item"]
        yield f"/{name}", body
    for number in range(CASES // 20):
        yield "/api/items", {"id": f"r{number % 7}", "size": number}
