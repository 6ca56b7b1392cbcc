"""Blocks of built-in tasks: accepted ones, and the problem of each wrong part."""

import json
from typing import Any

import pytest

from flowmesh.definitions import errors_in
from tests.unit.definitions.factories import problems, steps

DB = {"connection": "orders", "statement": "select 1"}
GRPC = {"method": "shop.Orders/Get", "target": "orders:443"}
MCP = {"tool": "find", "server": "https://tools.example/mcp"}
AI = {"prompt": "Say hello."}
TOOL = {"name": "find", "description": "Finds."}


def errors(source: bytes) -> list[str]:
    return [each.message for each in errors_in(problems(source))]


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("grpc.call", {"method": "shop.Orders/Get", "service": "orders", "ca": "made-up"}),
        ("grpc.call", {**GRPC, "serverName": "orders.example", "metadata": {"x-shop": "1"}}),
        ("mcp.call", {**MCP, "arguments": {"q": 1}, "headers": {"x-shop": "1"}}),
        ("mcp.call", {**MCP, "digest": "0" * 64}),
        ("message.publish", {"key": "jobs"}),
        (
            "message.publish",
            {"key": "k", "exchange": "e", "body": 1, "headers": {"a": "b"}, "priority": 9},
        ),
        ("ai.complete", {**AI, "provider": "own", "maxTokens": 10, "repairs": 0}),
        ("ai.complete", {**AI, "outputSchema": {"type": "object"}, "guard": {}}),
        (
            "ai.complete",
            {**AI, "guard": {"redact": ["emails"], "input": {"deny": ["x"], "allow": ["y"]}}},
        ),
        ("ai.complete", {**AI, "tools": [{**TOOL, "changes": True}], "approve": True}),
    ],
)
def test_a_block_is_accepted(action: str, params: dict[str, Any]) -> None:
    """With its rare members."""
    assert errors(steps({"id": "a", "action": action, "params": params})) == []


@pytest.mark.parametrize(
    ("action", "params", "problem"),
    [
        ("db.query", {**DB, "statement": "x" * 70_000}, "a statement has at most"),
        ("db.query", {**DB, "identifiers": {"by": "id"}}, "an object with value and of, not a"),
        (
            "db.query",
            {**DB, "identifiers": {"by": {"value": "{{input.by}}"}}},
            "the list of allowed names",
        ),
        ("db.query", {**DB, "parameters": {f"p{n}": 1 for n in range(500)}}, "are allowed here"),
        ("grpc.call", {**GRPC, "service": "orders"}, "give either target or service, not both"),
        ("grpc.call", {**GRPC, "method": "Get"}, "method is package.Service/Method"),
        ("grpc.call", {**GRPC, "descriptors": "%"}, "a FileDescriptorSet in base64"),
        ("mcp.call", {"tool": "find"}, "give the URL of the MCP server in server, or"),
        ("mcp.call", {**MCP, "capability": "find"}, "give the URL of the MCP server in server, or"),
        ("mcp.call", {**MCP, "digest": "7"}, "digest is the SHA-256 of the schemas"),
        ("publish", {"subject": "a..b"}, "subject is "),
        ("ai.complete", {}, "the prompt, or messages of an earlier step"),
        ("ai.complete", {**AI, "tools": [TOOL] * 33}, "at most 32 tools, not 33"),
        ("ai.complete", {**AI, "tools": ["find"]}, "a tool is an object with a name, not a"),
        (
            "ai.complete",
            {**AI, "tools": [{**TOOL, "changes": True}]},
            "find changes something: put an approval before its call",
        ),
        ("ai.complete", {**AI, "guard": {"redact": ["names"]}}, "redact has EMAILS, CARDS, KEYS"),
        (
            "ai.complete",
            {**AI, "guard": {"input": {"deny": ["x"] * 33}}},
            "at most 32 patterns, not 33",
        ),
        ("ai.complete", {**AI, "guard": {"input": {"deny": [5]}}}, "a pattern is a text of at"),
        ("ai.complete", {**AI, "guard": {"output": {"allow": ["("]}}}, "("),
    ],
)
def test_a_wrong_part_of_a_block_is_named(
    action: str, params: dict[str, Any], problem: str
) -> None:
    """The message says what would be right."""
    found = errors(steps({"id": "a", "action": action, "params": params}))
    assert any(problem in each for each in found), found


def serverless(task: dict[str, Any], **use: Any) -> bytes:
    document = {"dsl": "1.0.3", "namespace": "default", "name": "w", "version": "1.0.0"}
    return json.dumps({"document": document, "use": use, "do": [{"a": task}]}).encode()


def call(endpoint: Any = "https://shop.example/orders", **more: Any) -> dict[str, Any]:
    return {"call": "http", "with": {"method": "get", "endpoint": endpoint, **more}}


def signed(policy: Any) -> dict[str, Any]:
    return call({"uri": "https://shop.example/orders", "authentication": policy})


BASIC = {"basic": {"username": "shop", "password": "made-up"}}
DOCUMENT = {"endpoint": "https://shop.example/openapi.json"}


@pytest.mark.parametrize(
    ("task", "use"),
    [
        (call({"uri": "https://shop.example/orders"}), {}),
        (call(query={"page": 2}, headers={"x-shop": "${ .shop }"}, output="response"), {}),
        (signed(BASIC), {}),
        (signed({"bearer": {"token": "${ .token }"}}), {}),
        (signed({"basic": {"use": "shop"}}), {"secrets": ["shop"]}),
        (signed({"bearer": {"use": "shop"}}), {"secrets": ["shop"]}),
        (signed({"use": "shop"}), {"authentications": {"shop": BASIC}}),
        (signed("shop"), {"authentications": {"shop": BASIC}}),
        (
            {
                "call": "openapi",
                "with": {
                    "document": DOCUMENT,
                    "operationId": "list",
                    "parameters": {"page": 2},
                    "authentication": BASIC,
                },
            },
            {},
        ),
    ],
)
def test_a_call_of_serverless_workflow_is_accepted(
    task: dict[str, Any], use: dict[str, Any]
) -> None:
    """Its credentials may be texts, expressions, a secret, or a policy by name."""
    assert errors(serverless(task, **use)) == []


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ({"call": "http"}, "method and endpoint of the request"),
        ({"call": "http", "with": {"endpoint": "https://shop.example"}}, "get, post, put"),
        ({"call": "http", "with": {"method": "get"}}, "a URI, or an object with one"),
        (call(output="body"), "one of content, response, raw"),
        (call(query=[1]), "an object or an expression"),
        (signed({"digest": {"username": "shop"}}), "digest authentication"),
        (signed({"certificate": {}}), "certificate authentication"),
        (signed({"use": "shop"}), "use.authentications has no 'shop'"),
        (signed({"basic": {"use": "shop"}}), "use.secrets has no 'shop'"),
        (signed({"bearer": {}}), "a text or an expression"),
        (signed({"basic": {"username": "a:b", "password": "made-up"}}), "username"),
        (signed({"bearer": {"token": "a\nb"}}), "Authorization"),
        ({"call": "openapi"}, "document and operationId of the operation"),
        (
            {"call": "openapi", "with": {"operationId": "list", "document": {}}},
            "the http or https URI of an OpenAPI document",
        ),
        (
            {
                "call": "openapi",
                "with": {
                    "operationId": "list",
                    "document": {"endpoint": {"uri": "https://a.example", "authentication": BASIC}},
                },
            },
            "authentication for an OpenAPI document",
        ),
    ],
)
def test_a_wrong_part_of_a_call_is_named(task: dict[str, Any], problem: str) -> None:
    """The message says what would be right, or what to use instead."""
    found = errors(serverless(task))
    assert any(problem in each for each in found), found
