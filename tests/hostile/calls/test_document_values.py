"""No value of a document leads out of its release: files, addresses, secrets, at every key."""

import re
from collections.abc import Iterable, Mapping

import pytest
import yaml

from flowmesh.apps.catalog import DESCRIPTORS, STEPS, Descriptor, Field, Rule
from flowmesh.apps.catalog.descriptor import string
from flowmesh.contract.json_value import Json
from tests.hostile.conftest import Company, Sink

Place = tuple[str, str, str, Rule]

# Places with a rule; a lower number means that one was lost.
PLACES = 54

# A value of each rule that leads out of the release.
FOREIGN: Mapping[Rule, tuple[str, ...]] = {
    "read": ("/etc/passwd", "../../../../postgres.password"),
    "written": ("/tmp/x", "../../other/data"),
    "sqlite": ("../../other/data/x.db", "file:/tmp/x.db?mode=ro", ":memory:/../../../../x.db"),
    "dsn": (
        "postgresql://u:p@/flowmesh?host=/run/postgres",
        "postgresql://u:p@%2Frun%2Fpostgres/flowmesh",
        "postgresql://u:p@example.com,/flowmesh",
        "postgresql://u:p@example.com/x?passfile=/etc/pgpass",
        "postgresql://u:p@example.com/x?sslkey=../../key.pem",
        "postgresql:///flowmesh?service=suite",
        "",
    ),
    "migration": ("/etc/x.sql", "../../x.sql"),
    "source": ("/etc/x.py", "../../x.py"),
    "schema": ("/etc/passwd", "../x.json"),
    "address": (
        "unix:///run/x.sock",
        "/run/x.sock",
        "file:///etc/passwd",
        "http+unix://run/x.sock",
    ),
    "target": ("unix:///run/x.sock", "/run/x.sock", "file:///etc/passwd"),
    "listen": ("unix:/run/x.sock", "/run/x.sock"),
}
# Words in the name or description of a key that leads out of the document.
TELLING = re.compile(
    r"file|folder|path|dir\b|address|url|uri\b|endpoint|host\b|dsn|migration|source\b|certificate"
    r"|broker|server|socket|\bca\b|credentials|target|backend|engines|schemas|connections",
    re.IGNORECASE,
)


# Keys with such words whose texts are names, headers, or paths of routes and of data.
PLAIN = frozenset(
    {
        *("http.router.prefix", "http.router.routes", "http.handler.path", "http.handler.method"),
        *("http.proxy.routes", "http.proxy.default_backend", "http.proxy.composite_routes"),
        *("reverseproxy.routes", "reverseproxy.default_backend", "reverseproxy.composite_routes"),
        *("chimux.router.basepath", "chimux.router.routes", "static.fileserver.prefix"),
        *("api.handler.resourceName", "api.handler.workflowType", "api.handler.transitionMap"),
        *("api.handler.sourceResourceName", "api.command.routes", "api.query.routes"),
        *("statemachine.engine.adminPath", "messaging.handler.inputType", "step.foreach.items"),
        *("eventbus.modular.routing", "step.validate.source", "step.transform.source"),
        *("step.conditional.field", "step.request_parse.path_params"),
        *("step.json_response.body_from", "metrics.collector.metricsPath"),
        *("health.checker.healthPath", "health.checker.readyPath", "health.checker.livePath"),
        *("log.collector.logsPath", "openapi.consumer.auth", "openapi.generator.servers"),
        "secrets.vault.mountPath",
    }
)


def texts_of(descriptors: Iterable[Descriptor]) -> list[tuple[str, Field]]:
    """Return the keys whose value may hold texts of any kind, with their type."""
    kinds = ("string", "filepath", "sql", "array", "map", "json")
    return [(d.type, f) for d in descriptors for f in d.fields if f.kind in kinds]


def places(descriptors: Iterable[Descriptor]) -> list[Place]:
    """Return type, key, place in the value and rule of each text that leads out."""
    return [
        (kind, each.key, place, rule)
        for kind, each in texts_of(descriptors)
        for place, rule in each.rules.items()
    ]


def without_rule(descriptors: Iterable[Descriptor]) -> list[str]:
    """Return the keys that seem to lead out of the document, and have no rule."""
    return [
        f"{kind}.{each.key}"
        for kind, each in texts_of(descriptors)
        if TELLING.search(f"{each.key} {each.text}")
        and not (each.rules or each.refers)
        and f"{kind}.{each.key}" not in PLAIN
    ]


def nested(place: str, value: str) -> Json:
    """Return a value with a text at a place in it."""
    made: Json = value
    for key in reversed([each for each in place.split(".") if each]):
        made = {"x" if key == "*" else key: made}
    return made


def planted(place: Place, value: str) -> dict[str, Json]:
    """Return the configuration of a module with a value at a place."""
    kind, key, inner, _ = place
    field = next(each for each in DESCRIPTORS[kind].fields if each.key == key)
    made = nested(inner, value)
    if field.kind == "array":
        made = [made["x"]]
    if (kind, key) == ("eventbus.modular", "engines") and inner.endswith("brokers.*"):
        made[0]["config"]["brokers"] = [value]
    config = {key: made}
    if key == "dsn":
        config["driver"] = "postgres"
    if key == "connections" and inner.endswith("dsn"):
        made["x"]["driver"] = "postgres"
    return config


def test_each_key_that_leads_out_has_a_rule() -> None:
    """Of every module and step type; a planted key without one is found."""
    every = {**DESCRIPTORS, **STEPS}.values()
    print(f"{len(texts_of(every))} keys with texts, {len(places(every))} places with a rule")
    assert without_rule(every) == []
    assert len(places(every)) >= PLACES
    assert {rule for *_, rule in places(every)} == set(FOREIGN)
    hole = Descriptor(
        type="x.hole",
        build="",
        category="data",
        label="",
        text="",
        fields=(string("caBundle", "File of authorities."),),
    )
    assert without_rule([*every, hole]) == ["x.hole.caBundle"]


@pytest.mark.parametrize("number", range(max(map(len, FOREIGN.values()))))
async def test_no_key_takes_a_foreign_value(attacker: Company, number: int) -> None:
    """One document with every place of every module type: each has a finding of its own."""
    modules = [
        {"name": f"m{index}", "type": place[0], "config": planted(place, values[number])}
        for index, place in enumerate(places(DESCRIPTORS.values()))
        if number < len(values := FOREIGN[place[3]])
    ]
    status, body = await attacker.rest(
        "POST", "/api/v1/apps/values:validate", {"document": yaml.safe_dump({"modules": modules})}
    )
    assert status == 200, body
    codes = ("APP_PATH_FOREIGN", "APP_ADDRESS_FOREIGN")
    refused = {
        int(found[1])
        for each in body["problems"]
        if each["code"] in codes and (found := re.match(r"modules\[(\d+)\]", each["path"]))
    }
    kept = [(m["type"], m["config"]) for n, m in enumerate(modules) if n not in refused]
    assert kept == []


VAULT = """\
name: x
modules:
- {{name: web, type: http.server, config: {{address: ":0"}}}}
- {{name: routes, type: http.router}}
- {{name: v, type: {kind}, config: {config}}}
- {{name: hello, type: http.handler, config: {{path: /hello, method: GET, body: "{body}"}}}}
{more}"""
FILES = ("/etc/hostname", "../../../../../postgres.password", "sub/../../../../../flowmesh.key")


def sources(sink: Sink) -> dict[str, str]:
    """Return documents whose source of secrets would send a file of the host to the sink."""
    found = {}
    for file in FILES:
        token = f'{{address: "{sink.url}", token: "${{file:{file}}}"}}'
        key = f'{{endpoint: "{sink.url}", accessKeyId: "${{file:{file}}}", secretAccessKey: x}}'
        found[f"vault {file}"] = VAULT.format(
            kind="secrets.vault", config=token, body="${vault:x#k}", more=""
        )
        found[f"aws {file}"] = VAULT.format(
            kind="secrets.aws", config=key, body="${aws-sm:x#k}", more=""
        )
    return found


@pytest.mark.parametrize("door", ["deploy", "validate"])
async def test_no_file_of_the_host_is_sent_to_a_source_of_secrets(
    attacker: Company, sink: Sink, door: str
) -> None:
    """The release is refused before anything is read or sent."""
    for name, document in sources(sink).items():
        path = f"/api/v1/apps/reads:{door}"
        status, body = await attacker.rest("POST", path, {"document": document})
        assert "is outside of the files of the release" in str(body), (name, status, body)
        assert sink.reached == [], name


async def test_a_refused_document_asks_no_source_of_secrets(attacker: Company, sink: Sink) -> None:
    """Secrets are read after all findings; a check reads none, in no case."""
    config = f'{{address: "{sink.url}", token: t}}'
    more = "- {name: db, type: storage.sqlite, config: {dbPath: /tmp/x.db}}\n"
    refused = VAULT.format(kind="secrets.vault", config=config, body="${vault:x#k}", more=more)
    status, body = await attacker.deploy("asks", refused)
    assert (status, sink.reached) == (409, []), body
    whole = VAULT.format(kind="secrets.vault", config=config, body="${vault:x#k}", more="")
    path = "/api/v1/apps/asks:validate"
    status, body = await attacker.rest("POST", path, {"document": whole})
    assert (status, sink.reached) == (200, []), body
