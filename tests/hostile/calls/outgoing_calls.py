"""Applications that call an address, for each key of the catalog that is one.

The test compares the keys with the catalog. `{at}` is host and port of the called server,
`{issuer}` of a provider of OAuth2 tokens that the policy admits.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import yaml

from flowmesh.apps.modules.sessions import Tokens
from flowmesh.contract.json_value import Json

SECRET = "a secret of applications, in tests only"
DAY_S = 86_400
AWS = {"accessKeyId": "k", "secretAccessKey": "s"}
SPEC = {
    "openapi": "3.0.0",
    "info": {"title": "x", "version": "1"},
    "paths": {"/x": {"get": {"operationId": "x", "responses": {"200": {"description": "x"}}}}},
}
REQUEST = ("POST", "/call", "{}")
ORDERS = {
    "engine": "tested",
    "definitions": [
        {
            "name": "order",
            "initialState": "open",
            "states": {"open": {}, "paid": {}},
            "transitions": {"pay": {"fromState": "open", "toState": "paid"}},
        }
    ],
    "hooks": [{"workflowType": "order", "transitions": ["pay"], "handler": "record"}],
}
PAY = {"method": "POST", "path": "/{id}/pay", "workflow": "order", "action": "pay"}
LOG = {"name": "l", "type": "step.log", "config": {"message": "x"}}


@dataclass(frozen=True)
class Calling:
    """An application with what makes it call: its start, or a request."""

    modules: Sequence[Json]
    steps: Sequence[Json] = ()
    # Further sections of the document.
    sections: Mapping[str, Json] = field(default_factory=dict)
    call: tuple[str, str, str] | None = None
    cookie: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    # The application is refused before it could call, wherever the address leads.
    refused: str = ""
    # What its log says at last of a call that goes on after the answer.
    logs: str = ""

    def case(self, at: str, issuer: str = "") -> dict[str, Json]:
        """Return the application that calls a server at an address."""
        route = {"method": "POST", "path": "/call", "pipeline": {"steps": list(self.steps)}}
        document = {
            "name": "x",
            "modules": [
                {"name": "web", "type": "http.server", "config": {"address": ":0"}},
                {"name": "routes", "type": "http.router"},
                *self.modules,
            ],
            "workflows": {"http": {"routes": [route] if self.steps else []}},
            **self.sections,
        }
        call = self.call or (REQUEST if self.steps else None)
        files = {**self.files, "app.yaml": yaml.safe_dump(document)}

        def placed(text: str) -> str:
            return text.replace("{at}", at).replace("{issuer}", issuer)

        return {
            "files": {name: placed(text) for name, text in files.items()},
            "environment": {name: placed(text) for name, text in self.environment.items()},
            "call": [placed(text) for text in call] if call else None,
            "cookie": self.cookie,
            "logs": self.logs,
        }


def module(kind: str, **config: Json) -> Json:
    return {"name": "tested", "type": kind, "config": config}


def started(kind: str, **config: Json) -> Calling:
    """Return an application whose module calls when it starts, or is asked for its health."""
    return Calling([module(kind, **config)])


def requested(kind: str, **config: Json) -> Calling:
    """Return an application whose module serves all paths."""
    return Calling([module(kind, **config)], call=("GET", "/any", ""))


def delegated(kind: str, operation: str, value: Json, logs: str = "", **config: Json) -> Calling:
    step = {
        "name": "s",
        "type": "step.delegate",
        "config": {"service": "tested", "operation": operation, "input": value},
    }
    return Calling([module(kind, **config)], [step], logs=logs)


def http_call(**config: Json) -> Json:
    return {"name": "h", "type": "step.http_call", "config": config}


def proxies(kind: str) -> dict[str, Calling]:
    direct = {"backend_services": {"b": "http://{at}"}, "default_backend": "b"}
    named = {
        "backend_services": {"b": "https://example.com"},
        "backend_configs": {"b": {"url": "http://{at}"}},
        "default_backend": "b",
    }
    return {
        f"{kind}.backend_services.*": requested(kind, **direct),
        f"{kind}.backend_configs.*.url": requested(kind, **named),
    }


def engine(kind: str, **config: Json) -> Calling:
    return started("eventbus.modular", engines=[{"name": "e", "type": kind, "config": config}])


def login(token_url: str, user_info_url: str) -> Calling:
    """Return an application to which a browser comes back from its provider."""
    tokens = Tokens(
        secret=SECRET, algorithm="HS256", issuer="workflow", expiry_s=DAY_S, refresh_s=DAY_S
    )
    digest = hashlib.sha256(b"verifier").digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    state = tokens.sealed("oauth-state", DAY_S, sub="acme", challenge=challenge)
    provider = {
        "client_id": "app",
        "client_secret": "s",
        "auth_url": "https://example.com",
        "token_url": token_url,
        "user_info_url": user_info_url,
    }
    path = "/oauth2/acme/callback"
    route = {"method": "GET", "path": path, "handler": "tested"}
    jwt, oauth2 = {"secret": SECRET}, {"providers": {"acme": provider}}
    return Calling(
        [module("auth.modular", jwt=jwt, oauth2=oauth2)],
        sections={"workflows": {"http": {"routes": [route]}}},
        call=("GET", f"{path}?code=c&state={state}", ""),
        cookie="oauth2=verifier",
        logs="of the provider acme failed",
    )


# By type, key, and place in the value.
OF_THE_CATALOG: dict[str, Calling] = {
    "auth.modular.oauth2.providers.*.token_url": login("http://{at}/token", "https://example.com"),
    "auth.modular.oauth2.providers.*.user_info_url": login(
        "http://{issuer}/token", "http://{at}/user"
    ),
    **proxies("http.proxy"),
    **proxies("reverseproxy"),
    "http.simple_proxy.targets.*": requested("http.simple_proxy", targets={"/any": "http://{at}"}),
    "httpclient.modular.baseURL": Calling(
        [module("httpclient.modular", baseURL="http://{at}")],
        [http_call(url="/x", client="tested")],
    ),
    "database.workflow.dsn": started(
        "database.workflow", driver="postgres", dsn="postgresql://u:p@{at}/x"
    ),
    "database.modular.connections.*.dsn": started(
        "database.modular",
        connections={"main": {"driver": "postgres", "dsn": "postgresql://u:p@{at}/x"}},
    ),
    "storage.s3.endpoint": started("storage.s3", bucket="b", endpoint="http://{at}", **AWS),
    "storage.gcs.endpoint": started("storage.gcs", bucket="b", endpoint="http://{at}"),
    "secrets.vault.address": started("secrets.vault", address="http://{at}", token="t"),
    "secrets.aws.endpoint": started("secrets.aws", endpoint="http://{at}", **AWS),
    "statemachine.engine.redisURL": Calling(
        [
            module("statemachine.engine", redisURL="redis://{at}"),
            {"name": "record", "type": "messaging.handler", "config": {"pipeline": "record"}},
        ],
        sections={
            "pipelines": {"record": {"steps": [LOG]}},
            "workflows": {"statemachine": ORDERS},
            "triggers": {"http": {"routes": [PAY]}},
        },
        call=("POST", "/o-1/pay", "{}"),
        logs="no lock for o-1",
    ),
    "cache.modular.redisURL": started("cache.modular", engine="redis", redisURL="redis://{at}"),
    "messaging.broker.address": started("messaging.broker", engine="suite", address="{at}"),
    "messaging.kafka.brokers.*": started("messaging.kafka", brokers=["{at}"]),
    "messaging.nats.url": started("messaging.nats", url="nats://{at}"),
    "eventbus.modular.engines.*.config.url": engine("nats", url="nats://{at}"),
    "eventbus.modular.engines.*.config.redisURL": engine("redis", redisURL="redis://{at}"),
    "eventbus.modular.engines.*.config.brokers.*": engine("kafka", brokers=["{at}"]),
    "webhook.sender.url": delegated(
        "webhook.sender", "", {"a": 1}, "gave up", url="http://{at}/hook", maxRetries=0
    ),
    "notification.slack.webhookURL": delegated(
        "notification.slack", "", {"text": "x"}, webhookURL="http://{at}/hook"
    ),
    "openapi.consumer.specUrl": started("openapi.consumer", specUrl="http://{at}/spec"),
    "openapi.consumer.baseURL": Calling(
        [module("openapi.consumer", specFile="spec.yaml", baseURL="http://{at}")],
        [{"name": "s", "type": "step.delegate", "config": {"service": "tested", "operation": "x"}}],
        files={"spec.yaml": yaml.safe_dump(SPEC)},
    ),
    "observability.otel.endpoint": Calling(
        [module("observability.otel", endpoint="{at}")],
        [{"name": "s", "type": "step.set", "config": {"values": {"a": 1}}}],
    ),
    "step.http_call.url": Calling([], [http_call(url="http://{at}/x")]),
}


def schema(kind: str, **config: Json) -> Calling:
    return Calling([module(kind, **config)], refused="SCHEMA_REMOTE_REF")


REMOTE = {"$ref": "http://{at}/schema.json"}
CONNECTOR = {"name": "c", "type": "http", "config": {"baseURL": "http://{at}"}}
# Calls whose address is in no key of the catalog.
BESIDE: dict[str, Calling] = {
    "observability.otel over gRPC": Calling(
        [module("observability.otel", endpoint="{at}", protocol="grpc")],
        [{"name": "s", "type": "step.set", "config": {"values": {"a": 1}}}],
    ),
    "step of foreach": Calling(
        [],
        [
            {
                "name": "f",
                "type": "step.foreach",
                "config": {"items": [1], "steps": [http_call(url="http://{at}/x")]},
            }
        ],
    ),
    "address of a template": Calling(
        [],
        [
            {"name": "p", "type": "step.request_parse", "config": {"fields": ["to"]}},
            http_call(url="http://{{ .to }}/x"),
        ],
        call=("POST", "/call", '{"to": "{at}"}'),
    ),
    # Addresses of messages are public ones under each policy, unless `allowPrivate` is true.
    "address of a message of webhook.sender": replace(
        delegated(
            *("webhook.sender", "", {"url": "http://{at}/hook", "payload": 1}, "gave up"),
            maxRetries=0,
        ),
        refused="EGRESS_BLOCKED",
    ),
    "connector of an integration": Calling(
        [],
        sections={
            "workflows": {
                "integration": {
                    "connectors": [CONNECTOR],
                    "steps": [{"name": "s", "connector": "c", "action": "GET /x"}],
                }
            },
            "triggers": {
                "http": {
                    "routes": [
                        {
                            "path": "/call",
                            "method": "POST",
                            "workflow": "integration",
                            "action": "s",
                        }
                    ]
                }
            },
        },
        call=REQUEST,
        logs="integration failed",
    ),
    "reference of jsonschema.modular": schema("jsonschema.modular", schemas={"s": REMOTE}),
    "reference of api.handler": schema("api.handler", resourceName="items", schema=REMOTE),
    "reference of step.validate": Calling(
        [],
        [
            {
                "name": "v",
                "type": "step.validate",
                "config": {"strategy": "json_schema", "schema": REMOTE},
            }
        ],
        refused="SCHEMA_REMOTE_REF",
    ),
}
# The variable outlives the application in its process.
SUITE = Calling(
    [module("messaging.broker", engine="suite")], environment={"FLOWMESH_ADDRESS": "{at}"}
)
