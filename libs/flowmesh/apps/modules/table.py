"""The types that this version runs, each with the function that builds it.

A function is imported when an application needs it, so that small applications start fast.
"""

from importlib import import_module

from flowmesh.apps.modules.module import Build
from flowmesh.apps.pipeline.steps import STEP_TYPES

BUILDERS: dict[str, str] = {
    "http.server": "servers:http_server",
    "http.router": "servers:router",
    "http.handler": "servers:handler",
    "http.proxy": "proxies:reverse_proxy",
    "reverseproxy": "proxies:reverse_proxy",
    "http.simple_proxy": "proxies:simple_proxy",
    "httpserver.modular": "servers:modular_server",
    "httpclient.modular": "http_client:http_client",
    "chimux.router": "servers:router",
    "static.fileserver": "files:static_files",
    "http.middleware.auth": "middlewares:authentication",
    "http.middleware.cors": "middlewares:cors",
    "http.middleware.logging": "middlewares:request_log",
    "http.middleware.ratelimit": "middlewares:rate_limit",
    "http.middleware.requestid": "middlewares:request_id",
    "http.middleware.securityheaders": "middlewares:security_headers",
    "auth.jwt": "auth:jwt_auth",
    "auth.modular": "modular_auth:modular_auth",
    "auth.user-store": "users:user_store",
    "api.handler": "resources:resource",
    "api.command": "data_services:delegating",
    "api.query": "data_services:delegating",
    "database.workflow": "databases:database",
    "database.modular": "databases:databases",
    "persistence.store": "databases:persistence",
    "storage.sqlite": "databases:sqlite_storage",
    "metrics.collector": "observability:metrics",
    "health.checker": "observability:health",
    "log.collector": "observability:logs",
    "eventlogger.modular": "event_log:event_log",
    "openapi.generator": "openapi:generator",
    "jsonschema.modular": "data_services:schemas",
    "data.transformer": "data_services:transformer",
    "workflow.registry": "data_services:registry",
    "messaging.broker": "outbound.brokers:broker",
    "messaging.broker.eventbus": "outbound.brokers:event_bus_broker",
    "messaging.handler": "outbound.brokers:message_handler",
    "messaging.kafka": "outbound.brokers:kafka",
    "messaging.nats": "outbound.brokers:nats",
    "eventbus.modular": "outbound.brokers:event_bus",
    "webhook.sender": "outbound.senders:webhook",
    "notification.slack": "outbound.senders:slack",
    "statemachine.engine": "outbound.machines:engine",
    "state.tracker": "outbound.machines:tracker",
    "state.connector": "outbound.machines:connector",
    "processing.step": "outbound.machines:processing_step",
    "scheduler.modular": "outbound.schedulers:scheduler",
    "dynamic.component": "outbound.components:dynamic",
    "storage.local": "outbound.objects:local",
    "storage.s3": "outbound.objects:s3",
    "storage.gcs": "outbound.objects:gcs",
    "secrets.vault": "outbound.secrets:secrets",
    "secrets.aws": "outbound.secrets:secrets",
    "cache.modular": "outbound.caches:cache",
    "openapi.consumer": "outbound.consumer:consumer",
    "observability.otel": "outbound.tracing:tracing",
}


def runs(kind: str) -> bool:
    """Return whether this version runs a type: as a module, or as a step of pipelines."""
    return kind in BUILDERS or kind in STEP_TYPES


def builder_of(kind: str) -> Build | None:
    """Return the function that builds a type; None if this version does not run it."""
    place = BUILDERS.get(kind)
    if place is None:
        return None
    module, _, function = place.partition(":")
    build: Build = getattr(import_module(f"flowmesh.apps.modules.{module}"), function)
    return build
