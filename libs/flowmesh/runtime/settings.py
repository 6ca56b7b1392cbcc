"""Settings of a process: from FLOWMESH_* in the environment, overridden by flags. Frozen."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from flowmesh.rpc.endpoints import Address

ENV_PREFIX = "FLOWMESH_"
# Read by the command line of clients, which may run in the same environment, and by flowmesh.core.
OTHER_VARIABLES = frozenset({"FLOWMESH_ADDRESS", "FLOWMESH_NAMESPACE", "FLOWMESH_CORE"})
# Of variables that the worker service reads for tasks.
SECRETS_PREFIX = f"{ENV_PREFIX}SECRET_"

_HOST = re.compile(r"[A-Za-z0-9._-]+")
_ORIGIN = re.compile(r"https?://[^\s/?#@]+/?")


class Settings(BaseSettings):
    """What a process must know before it starts."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore")

    postgres: str = Field(
        default="", description="PostgreSQL: postgresql://user:password@host:port/name"
    )
    nats: str = Field(
        default="", description="NATS with JetStream: nats://token@host:port, more after commas"
    )
    nats_replicas: int = Field(
        default=1, ge=1, le=5, description="servers of a NATS cluster that keep each event"
    )
    redis: str = Field(default="", description="Redis: redis://host:port/0 or unix:///path")
    registry: str = Field(default="", description="host:port of a registry in another process")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    grpc_port: int = Field(
        default=7450, ge=0, le=65535, description="gRPC port; 0 picks a free one"
    )
    http_port: int = Field(
        default=3000, ge=0, le=65535, description="HTTP port; 0 picks a free one"
    )
    auth: Literal["open", "closed"] = Field(
        default="open",
        description="open: every caller may do everything; closed: each call needs a credential",
    )
    key_file: str = Field(
        default="",
        description="file of the installation's key, made by `flowmesh identity init`; closed"
        " installations need it",
    )
    certs: str = Field(
        default="",
        description="folder with ca.pem, cert.pem and key.pem of this process, made by `flowmesh"
        " certs`: services encrypt their calls and verify each other",
    )
    tls_cert: str = Field(
        default="", description="PEM file of the certificate chain that the gateway shows clients"
    )
    tls_key: str = Field(default="", description="PEM file of its key, readable by its owner only")
    tls_client_ca: str = Field(
        default="",
        description="PEM file of authorities; clients of the gateway need a certificate of theirs",
    )
    internal_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="gRPC port for other processes, where a gateway with TLS shares its process"
        " with other services; 0 picks a free one",
    )
    registration: Literal["open", "invitation", "off"] = Field(
        default="invitation", description="who may register as a user of the installation"
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/?#@]+(/[^\s?#]*)?)?$",
        description="where people reach the gateway, as links name it: https://flow.example.com",
    )
    http_hosts: str = Field(
        default="",
        description="host names the HTTP ports serve beside localhost and IP addresses, separated"
        " by commas; empty is any, as is *; flowmesh dev serves none unless told",
    )
    http_origins: str = Field(
        default="",
        description="origins whose web pages may call the HTTP ports, such as"
        " https://flow.example.com, separated by commas; their own always may; * is any",
    )
    cors_origins: str = Field(
        default="",
        description="origins whose web pages may call the REST API and read its responses with"
        " the cookies of the user, such as https://ui.example.com, separated by commas; exact",
    )
    trusted_proxy: str = Field(
        default="",
        description="networks of the proxies whose X-Forwarded-For names the client, such as"
        " 10.0.0.0/8, separated by commas; empty is none",
    )
    advertise: str = Field(default="", description="host:port others reach this process at")
    data_dir: str = Field(default=".flowmesh", description="folder for what this process keeps")
    egress: Literal["open", "public"] = Field(
        default="public", description="what steps may call: public addresses only, or any"
    )
    egress_allow: str = Field(
        default="",
        description="networks steps may call although egress is public, separated by commas",
    )
    databases: str = Field(
        default="", description="TOML file with the databases that tasks may use, by name"
    )
    python_processes: int = Field(
        default=0, ge=0, le=256, description="Python tasks run at once; 0 is one per processor"
    )
    python_memory_mib: int = Field(
        default=256, ge=16, le=65536, description="MiB of memory one Python task may use at most"
    )
    python_cpu_s: int = Field(
        default=60, ge=1, le=3600, description="seconds of processor time it may use at most"
    )
    worker_slots: int = Field(
        default=256,
        ge=1,
        le=10_000,
        description="built-in tasks that one worker service runs at once",
    )
    worker_task_types: str = Field(
        default="",
        description="built-in types a worker service runs, separated by commas; empty is all",
    )
    worker_queues: str = Field(
        default="",
        description="queues it takes built-in tasks from, separated by commas; empty is any",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severe log line written"
    )
    log_format: Literal["", "json", "console"] = Field(
        default="", description="console on a terminal, JSON otherwise, unless said"
    )
    log_transitions: bool = Field(
        default=False, description="write a log line, at info, for each event of an execution"
    )
    otlp_endpoint: str = Field(
        default="", description="host:port or URL of an OTLP/gRPC collector for traces"
    )
    otlp_metrics_seconds: float = Field(
        default=0,
        ge=0,
        le=86_400,
        description="seconds between exports of the metrics to that collector; 0 exports none",
    )
    metrics_workflows: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="workflows with metrics of their own, further ones are `other`; 0 is none",
    )
    alert_slowdown: float = Field(
        default=3,
        ge=0,
        description="times its usual duration that a task takes to raise an alert; 0 is never",
    )
    alert_webhook: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+)?$",
        description="URL that alerts are posted to, beside the event that each is",
    )
    alert_webhook_secret: str = Field(
        default="", description="whsec_... that those posts are signed with"
    )
    data_dir_id: str = Field(default="", description="identity of the locked data directory")
    bus_prefix: str = Field(
        default="fm", pattern=r"^[a-z0-9]{1,32}$", description="first word of subjects"
    )
    publish_prefix: str = Field(
        default="events",
        pattern=r"^[a-z0-9-]{1,32}$",
        description="first word of the NATS subjects that tasks may publish to",
    )
    retention_days: float = Field(
        default=30,
        gt=0,
        le=3650,
        description="days, or parts of one, an ended execution is kept before it is deleted",
    )
    finished_seconds: int = Field(
        default=600,
        ge=0,
        le=86_400,
        description="for how long Redis keeps the state of an ended execution that was read",
    )
    policy: str = Field(
        default="",
        description="package.module:factory of the policy that decides which tasks may run",
    )
    archive_dir: str = Field(
        default="",
        description="folder that ended executions are archived in before they are deleted",
    )
    reflection: bool = Field(default=True, description="serve gRPC reflection")
    failpoints: str = Field(
        default="", description="for tests: where the process breaks on purpose"
    )

    @property
    def egress_networks(self) -> tuple[str, ...]:
        """The networks of `egress_allow`."""
        return _listed(self.egress_allow)

    @property
    def builtin_task_types(self) -> tuple[str, ...]:
        """The types of `worker_task_types`."""
        return _listed(self.worker_task_types)

    @property
    def builtin_queues(self) -> tuple[str, ...]:
        """The queues of `worker_queues`."""
        return _listed(self.worker_queues)

    @field_validator("key_file", "certs", "tls_cert", "tls_key", "tls_client_ca")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        """Resolve the path now: processes that this one starts have other working folders."""
        return str(Path(value).absolute()) if value else value

    @property
    def has_tls(self) -> bool:
        """True if a certificate is named."""
        return bool(self.certs or self.tls_cert or self.tls_key or self.tls_client_ca)

    @field_validator("advertise")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not Address.parse(value).host:
            raise ValueError(f"{value!r} has no host; expected host:port")
        return value

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The names of `http_hosts`."""
        return _listed(self.http_hosts)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of `http_origins`."""
        return _listed(self.http_origins)

    @property
    def cors_allowed_origins(self) -> tuple[str, ...]:
        """The origins of `cors_origins`."""
        return _listed(self.cors_origins)

    @field_validator("http_hosts")
    @classmethod
    def _names_hosts(cls, value: str) -> str:
        for name in _listed(value):
            if name != "*" and not _HOST.fullmatch(name):
                raise ValueError(f"{name!r} is no host name; write it without scheme and port")
        return value

    @field_validator("http_origins")
    @classmethod
    def _names_origins(cls, value: str) -> str:
        for origin in _listed(value):
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin; write it as https://host:port")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _names_exact_origins(cls, value: str) -> str:
        for origin in _listed(value):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin; write each one as https://host:port")
        return value

    @field_validator("egress_allow", "trusted_proxy")
    @classmethod
    def _names_networks(cls, value: str) -> str:
        for network in _listed(value):
            ipaddress.ip_network(network)
        return value


def _listed(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def unknown_variables() -> list[str]:
    """Variables with our prefix that no setting reads: most often misspelled."""
    known = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields} | OTHER_VARIABLES
    return sorted(
        name
        for name in os.environ
        if name.startswith(ENV_PREFIX)
        and not name.startswith(SECRETS_PREFIX)
        and name.upper() not in known
    )
