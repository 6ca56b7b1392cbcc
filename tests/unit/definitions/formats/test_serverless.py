"""Serverless Workflow documents: their plans, and the problems of wrong ones."""

import json
from typing import Any

import pytest

from flowmesh.contract.durations import iso_duration_ms
from flowmesh.contract.json_value import Json
from flowmesh.definitions import errors_in
from flowmesh.definitions.planning.compile import compile_source
from flowmesh.definitions.sources import load_workflow
from tests.unit.definitions.factories import problems, refusals

SET = {"set": {"a": 1}}
POLICY = "with.endpoint.authentication.oauth2"


def source(*tasks: Json, **more: Json) -> bytes:
    about = {"dsl": "1.0.3", "namespace": "tests", "name": "w", "version": "0.1.0"}
    document = {"document": about, "do": list(tasks), **more}
    return json.dumps(document).encode()


def emitted(**attributes: Json) -> Json:
    return {"emit": {"event": {"with": {"type": "a", "source": "s", **attributes}}}}


def signed(**more: Json) -> Json:
    """Return a request of a client with tokens; members that are null are left out."""
    client = {"id": "me", "secret": "s", **more.pop("client", {})}
    oauth2 = {"authority": "http://a", "grant": "client_credentials", "client": client, **more}
    policy = {"oauth2": {key: value for key, value in oauth2.items() if value is not None}}
    endpoint = {"uri": "http://x", "authentication": policy}
    return {"call": "http", "with": {"method": "get", "endpoint": endpoint}}


def remote(endpoint: str = "grpc://h:5000", **service: Json) -> Json:
    """Return a call of a gRPC service."""
    service = {"name": "a.Greeter", "host": "h", "port": 5000, **service}
    given = {"proto": {"endpoint": endpoint}, "service": service, "method": "Greet"}
    return {"call": "grpc", "with": given}


asked: Json = {"call": "http", "with": {"method": "get", "endpoint": "http://x"}}


def nodes(*tasks: Json, **more: Json) -> dict[str, Any]:
    """Return the nodes of a document's machine by id."""
    plan = compile_source(source(*tasks, **more))
    [root] = plan.nodes
    return {node.id: node for node in root.states.nodes}


def following(found: dict[str, Any], name: str) -> str:
    """Return the id of a node's successor, empty at the end."""
    index = found[name].follow.next
    return list(found)[index - 1] if index else ""


def test_a_list_of_tasks_is_a_machine_in_its_order() -> None:
    """Each task leads to the next one, a directive to the one it names, the last to the end."""
    found = nodes({"a": {**SET, "then": "c"}}, {"b": {**SET, "then": "exit"}}, {"c": SET})
    assert list(found) == ["a", "b", "c"]
    assert [following(found, name) for name in found] == ["c", "", ""]


def test_a_task_with_processing_is_one_node() -> None:
    """Conditions, input, output and export of a simple task cost no node of their own."""
    shaped = {"if": ".x", "input": {"from": ".y"}, "output": {"as": ".z"}, "export": {"as": "."}}
    assert list(nodes({"a": {**SET, **shaped}})) == ["a"]


def test_names_that_are_no_ids_become_ids() -> None:
    """A name may be any text; equal ids are made unique."""
    found = nodes({"an order": SET}, {"an.order!": {"do": [{"an order": SET}]}})
    assert list(found) == ["an-order", "an-order-2", "an.order-"]
    assert found["an-order"].name == "an order"


def test_errors_of_a_try_lead_to_their_handler() -> None:
    """Every node of a try has the catch; those of the handler have that of the try around."""
    inner = {"try": [{"a": SET}], "catch": {"do": [{"b": SET}]}}
    found = nodes({"outer": {"try": [{"inner": inner}], "catch": {}}})
    places = list(found)
    caught = {
        name: places[node.follow.catches[0].next - 1]
        for name, node in found.items()
        if node.follow.catches
    }
    assert caught["a"] == "inner:catch"
    assert caught["b"] == caught["inner:catch"] == caught["inner"] == "outer:catch"
    assert "outer:catch" not in caught


@pytest.mark.parametrize(
    ("task", "code", "place"),
    [
        ({"set": {"a": "${ .b + }"}}, "EXPRESSION_INVALID", "set.a"),
        ({"set": {"a": "${ $nobody }"}}, "EXPRESSION_INVALID", "set.a"),
        ({"set": {"a": "${ .b "}}, "EXPRESSION_INVALID", "set"),
        ({"set": {"a": "${ }"}}, "EXPRESSION_INVALID", "set.a"),
        ({"set": 7}, "DEFINITION_INVALID", "set"),
        ({**SET, "if": ".a["}, "EXPRESSION_INVALID", "if"),
        ({**SET, "then": "nowhere"}, "GRAPH_UNKNOWN_NODE", "then"),
        ({**SET, "color": 1}, "DEFINITION_INVALID", "color"),
        ({**SET, "wait": "PT1S"}, "DEFINITION_INVALID", ""),
        ({}, "DEFINITION_INVALID", ""),
        ({**SET, "timeout": {"after": "soon"}}, "TIMEOUT_INVALID", "timeout.after"),
        ({**SET, "timeout": "none"}, "DEFINITION_INVALID", "timeout"),
        ({**SET, "input": {"schema": {"document": {"type": "no"}}}}, "SCHEMA_INVALID",
         "input.schema.document.type"),
        ({"wait": {"weeks": 1}}, "DEFINITION_INVALID", "wait.weeks"),
        ({"wait": "1 day"}, "TIMEOUT_INVALID", "wait"),
        ({"do": []}, "GRAPH_EMPTY", "do"),
        ({"do": [{"a": SET}, {"a": SET}]}, "GRAPH_DUPLICATE_NODE", "do[1]"),
        ({"do": [{"a": SET, "b": SET}]}, "DEFINITION_INVALID", "do[0]"),
        ({"for": {"in": "."}}, "DEFINITION_INVALID", "do"),
        ({"for": {"each": "a b", "in": "."}, "do": [{"a": SET}]}, "DEFINITION_INVALID",
         "for.each"),
        ({"try": [{"a": SET}]}, "DEFINITION_INVALID", "catch"),
        ({"try": [{"a": SET}], "catch": {"retry": "none"}}, "DEFINITION_INVALID", "catch.retry"),
        ({"switch": [{"a": {"then": "exit"}}, {"b": {"then": "end"}}]}, "DEFINITION_INVALID",
         "switch[1].b"),
        ({"switch": [{"a": {"when": ".x"}}]}, "DEFINITION_INVALID", "switch[0].a.then"),
        ({"raise": {"error": "none"}}, "DEFINITION_INVALID", "raise.error"),
        ({"raise": {"error": {"type": "x"}}}, "DEFINITION_INVALID", "raise.error.status"),
        ({"call": [], "with": {"method": "get"}}, "DEFINITION_INVALID", "call"),
        ({"call": "http", "with": {"method": "get"}}, "DEFINITION_INVALID", "with.endpoint"),
        ({"call": "http", "with": {"method": "fly", "endpoint": "http://x"}},
         "DEFINITION_INVALID", "with.method"),
        (signed(authority=None), "DEFINITION_INVALID", f"{POLICY}.authority"),
        (signed(authority="keycloak"), "DEFINITION_INVALID", f"{POLICY}.authority"),
        (signed(authority="${ .a + }"), "EXPRESSION_INVALID", f"{POLICY}.authority"),
        (signed(grant=None), "DEFINITION_INVALID", f"{POLICY}.grant"),
        (signed(client={"secret": ""}), "DEFINITION_INVALID", f"{POLICY}.client.secret"),
        (signed(client={"name": "a"}), "DEFINITION_INVALID", f"{POLICY}.client.name"),
        (signed(scopes="api"), "DEFINITION_INVALID", f"{POLICY}.scopes"),
        (signed(scopes=[7]), "DEFINITION_INVALID", f"{POLICY}.scopes"),
        (signed(scope="api"), "DEFINITION_INVALID", f"{POLICY}.scope"),
        (emitted(type=7), "DEFINITION_INVALID", "emit.event.with.type"),
        (emitted(source=" "), "DEFINITION_INVALID", "emit.event.with.source"),
        (emitted(time="noon"), "DEFINITION_INVALID", "emit.event.with.time"),
        (emitted(time="2030-02-31T08:00:00Z"), "DEFINITION_INVALID", "emit.event.with.time"),
        (emitted(Room="a"), "DEFINITION_INVALID", "emit.event.with.Room"),
        (emitted(room=[1]), "DEFINITION_INVALID", "emit.event.with.room"),
        (emitted(specversion="0.3"), "DEFINITION_INVALID", "emit.event.with.specversion"),
        (emitted(subject="${ .a + }"), "EXPRESSION_INVALID", "emit.event.with.subject"),
        ({"emit": {"event": {"with": {"type": "a"}}}}, "DEFINITION_INVALID",
         "emit.event.with.source"),
        ({"emit": {}}, "DEFINITION_INVALID", "emit.event.with.source"),
        ({"listen": {"to": {"one": {"with": {}}}}}, "DEFINITION_INVALID", "listen.to.one.with"),
        ({"listen": {"to": {"one": {"with": {"type": "a"}}, "until": "."}}}, "DEFINITION_INVALID",
         "listen.to.until"),
        ({"listen": {"to": {"one": {"with": {"type": "a", "data": "${ .a + }"}}}}},
         "EXPRESSION_INVALID", "listen.to.one.with.data"),
        ({"listen": {"to": {"one": {"with": {"type": "a"}, "correlate": {"o": {}}}}}},
         "DEFINITION_INVALID", "listen.to.one.correlate.o.from"),
        ({"set": {"a": "${ $secrets.a }"}}, "EXPRESSION_INVALID", "set.a"),
        ({**asked, "with": {**asked["with"], "body": "${ $secrets.other }"}},
         "EXPRESSION_INVALID", "with.body"),
        (remote(name="a b"), "DEFINITION_INVALID", "with.method"),
        ({**remote(), "metadata": {"flowmesh.io/tls": 1}}, "DEFINITION_INVALID",
         'metadata["flowmesh.io/tls"]'),
        ({"call": "not-there"}, "TASK_NOT_FOUND", "taskRef"),
        ({"run": {"script": {"language": "js", "code": "return ("}}}, "EXPRESSION_INVALID",
         "run.script.code"),
    ],
)  # fmt: skip
def test_wrong_tasks_are_refused_with_code_and_place(task: Json, code: str, place: str) -> None:
    """Each rule has a code and points at the member that breaks it."""
    found = refusals(source({"t": task}))
    assert found[0][0] == code, found
    assert found[0][1].startswith(f"do[0].t{'.' if place else ''}{place}"), found


@pytest.mark.parametrize(
    ("task", "feature"),
    [
        (signed(grant="password"), "the OAuth 2 grant 'password'"),
        (signed(audiences=["a", "b"]), "more than one audience"),
        (signed(username="u"), "oauth2.username"),
        (signed(issuers=["http://a"]), "oauth2.issuers"),
        (signed(client={"authentication": "private_key_jwt"}),
         "the client authentication 'private_key_jwt'"),
        (signed(client={"assertion": "x"}), "the assertion of an OAuth 2 client"),
        (signed(request={"encoding": "application/json"}),
         "the encoding 'application/json' of token requests"),
        (signed(use="mine"), "a secret that is a whole policy"),
        ({"emit": {"event": {"with": {"type": "a/b", "source": "s"}}}},
         "an event of the type 'a/b'"),
        ({"emit": {"event": {"with": {"type": "flowmesh.a", "source": "s"}}}},
         "an event of the type 'flowmesh.a'"),
        ({"emit": {"event": {"with": {"type": "a", "source": "s/{id}"}}}},
         "a URI template as source"),
        (remote("file://app/greet.proto"), "the proto 'file://app/greet.proto'"),
        (remote("grpc://other:80"), "the proto 'grpc://other:80'"),
        (remote(authentication={"basic": {}}), "authentication of a gRPC service"),
        ({"call": "mcp", "with": {}}, "call mcp"),
        ({"call": "a2a", "with": {}}, "call a2a"),
        ({"call": "openapi",
          "with": {"document": {"endpoint": {"uri": "http://x", "authentication": {}}},
                   "operationId": "a"}}, "authentication for an OpenAPI document"),
        ({"call": "asyncapi", "with": {}}, "call asyncapi"),
        ({"call": "log:1.0.0@global"}, "a function of a catalog or at a URL"),
        ({"run": {"container": {"image": "x"}}}, "run.container"),
        ({"run": {"shell": {"command": "x"}}}, "run.shell"),
        ({"run": {"script": {"language": "python", "code": "1"}}}, "scripts in python"),
        ({"listen": {"to": {"one": {"with": {"type": "a.*"}}}}}, "a pattern in an event filter"),
        ({"listen": {"to": {"one": {"with": {"type": "flowmesh.task.failed"}}}}},
         "listening to 'flowmesh.task.failed'"),
        ({"listen": {"to": {"any": []}, "read": "raw"}}, "listen.read 'raw'"),
        ({"listen": {"to": {"any": []}}, "foreach": {}}, "listen.foreach"),
        ({"fork": {"branches": [{"a": {**SET, "then": "end"}}]}},
         "end in a part that runs on its own"),
    ],
)  # fmt: skip
def test_features_that_cannot_run_are_refused_by_name(task: Json, feature: str) -> None:
    """Nothing of the standard is accepted and then ignored."""
    [problem] = errors_in(problems(source({"t": task})))
    assert problem.code == "FEATURE_UNSUPPORTED"
    assert problem.message.startswith(f"{feature} is not supported")


@pytest.mark.parametrize(
    ("more", "code", "place"),
    [
        ({"use": {"extensions": [{}]}}, "FEATURE_UNSUPPORTED", "use.extensions"),
        ({"use": {"secrets": [""]}}, "ID_INVALID", "use.secrets[0]"),
        (
            {"use": {"secrets": ["a"]}, "output": {"as": "${ $secrets.a }"}},
            "EXPRESSION_INVALID",
            "output.as",
        ),
        ({"evaluate": {"language": "javascript"}}, "FEATURE_UNSUPPORTED", "evaluate.language"),
        ({"input": {"from": ".["}}, "EXPRESSION_INVALID", "input.from"),
        ({"output": {"as": "$input"}}, "EXPRESSION_INVALID", "output.as"),
        ({"color": 1}, "DEFINITION_INVALID", "color"),
    ],
)
def test_wrong_documents_are_refused(more: Json, code: str, place: str) -> None:
    """Problems outside of the tasks have a code and a place too."""
    assert refusals(source({"t": SET}, **more)) == [(code, place)]


@pytest.mark.parametrize("key", ["namespace", "name"])
def test_a_name_with_a_dot_is_refused(key: str) -> None:
    """It would share its id with a document of another namespace."""
    about = {"dsl": "1.0.3", "namespace": "a", "name": "w", "version": "0.1.0", key: "a.b"}
    document = json.dumps({"document": about, "do": [{"t": SET}]}).encode()
    assert refusals(document) == [("ID_INVALID", f"document.{key}")]


def test_a_document_without_its_parts_says_which() -> None:
    """All missing members are reported in one pass."""
    found = refusals(b"document: {}\n")
    assert [place for _, place in found] == [
        "document.dsl", "document.name", "document.namespace", "document.version", "do",
    ]  # fmt: skip


def test_functions_are_written_out_and_cannot_go_round() -> None:
    """A function that calls itself is refused, one whose calls double each time is bounded."""
    again = {"functions": {"f": {"call": "f"}}}
    [problem] = errors_in(problems(source({"t": {"call": "f"}}, use=again)))
    assert problem.message.startswith("a function that calls itself")
    calls = {
        f"f{n}": {"do": [{"a": {"call": f"f{n + 1}"}}, {"b": {"call": f"f{n + 1}"}}]}
        for n in range(30)
    }
    use = {"functions": {**calls, "f30": SET}}
    assert ("GRAPH_TOO_LARGE", "") in refusals(source({"t": {"call": "f0"}}, use=use))


@pytest.mark.parametrize(
    ("text", "ms"),
    [("PT15S", 15_000), ("P1DT2H3M4.5S", 93_784_500), ("PT0S", 0), ("P", None), ("PT", None),
     ("P1Y", None), ("15", None)],
)  # fmt: skip
def test_durations_of_iso_8601(text: str, ms: int | None) -> None:
    """Days, hours, minutes and seconds; years and months have no length of their own."""
    assert iso_duration_ms(text) == ms


def test_a_stored_document_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading what was checked before starts no process, so that plans are made quickly."""
    document = json.loads(source({"t": {"set": {"a": "${ .b }"}}}))

    monkeypatch.setattr("subprocess.Popen", None)
    assert load_workflow(document).id == "tests.w"
