"""Settings of a process: from FLOWMESH_* in the environment, overridden by flags. Frozen."""

import os
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from flowmesh.runtime.settings.cells import CellSettings
from flowmesh.runtime.settings.types import (
    AbsolutePath,
    CodecServer,
    ExactOrigins,
    HostNames,
    Networks,
    Origins,
    ReachedAt,
    Server,
    check_each,
    check_provider,
    check_queue,
    split,
)

ENV_PREFIX = "FLOWMESH_"
# Variables of client commands, which may run in the same environment, and of flowmesh.core.
OTHER_VARIABLES = frozenset({"FLOWMESH_ADDRESS", "FLOWMESH_NAMESPACE", "FLOWMESH_CORE"})
# The prefix of variables with secrets of tasks.
SECRETS_PREFIX = f"{ENV_PREFIX}SECRET_"


class Settings(CellSettings):
    """The settings of a process."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore")

    postgres: Server = Field(
        default="", description="PostgreSQL: postgresql://user:password@host:port/name"
    )
    nats: Server = Field(
        default="", description="NATS with JetStream: nats://token@host:port, more after commas"
    )
    nats_replicas: int = Field(
        default=1, ge=1, le=5, description="servers of a NATS cluster that store each event"
    )
    redis: Server = Field(default="", description="Redis: redis://host:port/0 or unix:///path")
    registry: Server = Field(default="", description="host:port of a registry in another process")
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
    key_file: AbsolutePath = Field(
        default="",
        description="file of the installation's key, made by `flowmesh identity init`; closed"
        " installations need it",
    )
    wrapping_key: str = Field(
        default="",
        description="address of the key that wraps data keys, of Vault, AWS KMS or another file"
        " (docs/security.md); by default the key file",
    )
    wrapping_keys_former: str = Field(
        default="",
        description="former addresses, separated by commas, until no data key is wrapped by them",
    )
    wrapping_kept_seconds: float = Field(
        default=3_600,
        ge=0,
        le=86_400,
        description="seconds for which opened data keys are used while the wrapping key is away",
    )
    metrics_key_file: str = Field(
        default="",
        description="file with a key of 32 characters or more that may read the metrics, and"
        " nothing else, in a closed installation; a changed file counts at once",
    )
    certs: AbsolutePath = Field(
        default="",
        description="folder with ca.pem, cert.pem and key.pem of this process, made by `flowmesh"
        " certs`: services encrypt their calls and verify each other",
    )
    tls_cert: AbsolutePath = Field(
        default="", description="PEM file with the certificate chain of the gateway"
    )
    tls_key: AbsolutePath = Field(
        default="", description="PEM file of its key, readable by its owner only"
    )
    tls_client_ca: AbsolutePath = Field(
        default="",
        description="PEM file of authorities that must have signed the certificates of clients",
    )
    internal_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="gRPC port for other processes, where a gateway with TLS shares its process"
        " with other services; 0 picks a free one",
    )
    internal_dir: AbsolutePath = Field(
        default="",
        description="folder of the unix sockets by which the processes of a closed installation"
        " without certificates call each other on one machine, private to their user; `flowmesh"
        " dev` and `flowmesh cluster` set it",
    )
    registration: Literal["open", "invitation", "off"] = Field(
        default="invitation", description="registration of users of the installation"
    )
    public_url: Server = Field(
        default="",
        pattern=r"^(https?://[^\s/?#@]+(/[^\s?#]*)?)?$",
        description="URL of the gateway for links, such as https://flow.example.com",
    )
    http_hosts: HostNames = Field(
        default="",
        description="host names that the HTTP ports accept in addition to localhost and IP"
        " addresses, separated by commas; empty or * accepts all; `flowmesh dev` accepts none",
    )
    http_origins: Origins = Field(
        default="",
        description="origins whose web pages may call the HTTP ports, such as"
        " https://flow.example.com, separated by commas; * allows all; the own origin is allowed",
    )
    cors_origins: ExactOrigins = Field(
        default="",
        description="origins whose web pages may call the REST API and read its responses with"
        " the cookies of the user, such as https://ui.example.com, separated by commas",
    )
    codec_server: CodecServer = Field(
        default="",
        description="URL of the codec server with which the console opens values that are sealed"
        " end to end, such as https://codec.example.com/{namespace}; only browsers call it",
    )
    mcp_write: bool = Field(
        default=False,
        description="offer clients of the Model Context Protocol the tools that change something;"
        " their permissions apply as everywhere",
    )
    mcp_calls_per_minute: int = Field(
        default=600,
        ge=0,
        description="requests of the Model Context Protocol that a caller may make in a minute and"
        " namespace at one gateway; 0 is any",
    )
    ai_providers: Annotated[str, check_each(check_provider)] = Field(
        default="",
        description="model services of the assistant in the order of their use, of claude,"
        " openai and copilot; prompts leave the installation with these only, and without one its"
        " rules answer",
    )
    ai_prices_file: str = Field(
        default="",
        description="TOML file with prices of models, as those that ship: `[models]` with"
        ' `"name" = {input = 1.0, output = 2.0}` in USD for a million tokens',
    )
    ai_tokens_per_execution: int = Field(
        default=0, ge=0, description="tokens that the model steps of an execution may use; 0 is any"
    )
    ai_usd_per_execution: float = Field(
        default=0, ge=0, description="US dollars that they may cost; 0 is any"
    )
    ai_tokens_per_day: int = Field(
        default=0,
        ge=0,
        description="tokens that the model steps of a namespace may use in a day of UTC; 0 is any",
    )
    ai_usd_per_day: float = Field(
        default=0, ge=0, description="US dollars that they may cost in such a day; 0 is any"
    )
    ai_claude_url: Server = Field(
        default="https://api.anthropic.com", description="URL of the Messages API"
    )
    ai_claude_model: str = Field(default="claude-sonnet-5", description="model of claude")
    stripe_url: Server = Field(
        default="https://api.stripe.com", description="URL to which metered use is billed"
    )
    stripe_key_file: str = Field(
        default="", description="file with the key of Stripe; empty bills nothing"
    )
    ai_claude_key_file: str = Field(default="", description="file with the key of claude")
    ai_copilot_url: Server = Field(
        default="http://127.0.0.1:4321",
        description="host and port of the GitHub Copilot command line in server mode",
    )
    ai_copilot_model: str = Field(default="gpt-5", description="model of copilot")
    ai_copilot_key_file: str = Field(
        default="", description="file with the connection token of copilot"
    )
    ai_openai_url: Server = Field(
        default="https://api.openai.com/v1",
        description="URL of a service that speaks Chat Completions, such as a local Ollama, which"
        " the egress rules must allow",
    )
    ai_openai_model: str = Field(default="gpt-5", description="model of openai")
    ai_openai_key_file: str = Field(
        default="", description="file with the key of openai; empty for a service without keys"
    )
    trusted_proxy: Networks = Field(
        default="",
        description="networks of the proxies whose X-Forwarded-For names the client, such as"
        " 10.0.0.0/8, separated by commas; empty is none",
    )
    advertise: ReachedAt = Field(
        default="", description="host:port at which other processes reach this one"
    )
    data_dir: str = Field(default=".flowmesh", description="folder for the data of this process")
    egress: Literal["open", "public"] = Field(
        default="public", description="addresses that tasks may call: public ones only, or all"
    )
    egress_allow: Networks = Field(
        default="",
        description="networks that tasks may call besides public addresses, separated by commas",
    )
    app_isolation: Literal["auto", "required", "best", "none"] = Field(
        default="auto",
        description="walls around hosted applications: required refuses them on a host that lacks"
        " walls, best uses those that stand; auto is required where calls need a credential",
    )
    agent_isolation: Literal["auto", "none", "user", "sandbox"] = Field(
        default="auto",
        description="least isolation of agents: none is a folder of its own, user also a user,"
        " sandbox walls; auto is sandbox where calls need a credential, else none",
    )
    agent_driver: Literal["process", "kubernetes"] = Field(
        default="process",
        description="agents as processes of the fleet's machine, or as pods of its cluster",
    )
    plugin_catalogue: str = Field(
        default="",
        max_length=2048,
        description="folder or URL of the catalogue of plugins; empty is none",
    )
    plugin_keys: str = Field(
        default="",
        max_length=4096,
        description="public keys of signatures of plugins, separated by commas",
    )
    agent_namespaces: str = Field(
        default="",
        max_length=4096,
        description="namespaces of the cluster that may have agents, separated by commas; by"
        " default all",
    )
    kubernetes_cluster: str = Field(
        default="",
        max_length=128,
        description="name of the cluster as the owner of definitions; by default the uid of its"
        " namespace kube-system",
    )
    kubernetes_namespace: str = Field(
        default="",
        max_length=63,
        description="namespace of the operator, and of agents without a resource; by default that"
        " of the pod or kubeconfig",
    )
    webhook_port: int = Field(
        default=9443, ge=1, le=65535, description="port of the operator's admission webhook"
    )
    scaler_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="port of the operator's scaler for KEDA, without credentials; 0 is none",
    )
    webhook_service: str = Field(
        default="flowmesh-webhook",
        max_length=63,
        description="name of the Service of the admission webhook, which its certificate names",
    )
    app_image: str = Field(
        default="flowmesh:latest",
        max_length=512,
        description="image of the pods of agents, and of an App without one of its own",
    )
    apps_max: int = Field(
        default=100,
        ge=1,
        le=1000,
        description="applications that a namespace may host; the process of each has up to 256 MiB"
        " of data",
    )
    databases: str = Field(
        default="", description="TOML file with the databases that tasks may use, by name"
    )
    python_processes: int = Field(
        default=0, ge=0, le=256, description="concurrent Python tasks; 0 is one per processor"
    )
    python_memory_mib: int = Field(
        default=256, ge=16, le=65536, description="memory limit of a Python task in MiB"
    )
    python_cpu_s: int = Field(
        default=60, ge=1, le=3600, description="CPU time limit of a Python task in seconds"
    )
    execution_cpu_s: int = Field(
        default=3600,
        ge=0,
        description="CPU seconds that the code and transforms of one execution may use on a worker"
        " service; 0 is no limit",
    )
    namespace_cpu_s: int = Field(
        default=0,
        ge=0,
        description="CPU seconds per minute that the code and transforms of one namespace may use"
        " on a worker service; 0 is as many as its processes have",
    )
    worker_slots: int = Field(
        default=256,
        ge=1,
        le=10_000,
        description="concurrent built-in tasks of a worker service",
    )
    worker_task_types: str = Field(
        default="",
        description="built-in task types of a worker service, separated by commas; empty is all",
    )
    worker_queues: str = Field(
        default="",
        description="queues of a worker service for built-in tasks, by commas; empty is all",
    )
    learned_routing: Annotated[str, check_each(check_queue)] = Field(
        default="",
        max_length=4096,
        description="namespaces, and queues as namespace/queue, whose tasks go first to the workers"
        " that were faster at them, separated by commas; empty is none",
    )
    deliveries_max: int = Field(
        default=5,
        ge=1,
        le=1_000,
        description="lost workers of one attempt, after which its node fails with POISON",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="minimum level of log lines"
    )
    log_format: Literal["", "json", "console"] = Field(
        default="",
        description="format of log lines; empty is console on a terminal, JSON otherwise",
    )
    log_transitions: bool = Field(
        default=False, description="write a log line at level info for each event of an execution"
    )
    otlp_endpoint: Server = Field(
        default="", description="host:port or URL of an OTLP collector for traces"
    )
    otlp_protocol: Literal["", "grpc", "http/protobuf"] = Field(
        default="", description="protocol of the collector; empty is grpc, or that of OTEL_*"
    )
    otlp_metrics_seconds: float = Field(
        default=0,
        ge=0,
        le=86_400,
        description="seconds between exports of metrics to the collector; 0 disables them",
    )
    definition_cache_seconds: float = Field(
        default=30,
        ge=0,
        le=3600,
        description="seconds for which starts may use a definition that was changed while the bus"
        " was away; 0 reads it at every start",
    )
    metrics_workflows: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="number of workflows with own metrics; further ones count as `other`",
    )
    alert_slowdown: float = Field(
        default=3,
        ge=0,
        description="multiple of the usual task duration that raises an alert; 0 disables alerts",
    )
    alert_webhook: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+)?$",
        description="URL to which alerts are posted, in addition to their events",
    )
    alert_webhook_secret: str = Field(
        default="", description="secret that signs posted alerts: whsec_..."
    )
    data_dir_id: str = Field(default="", description="identity of the locked data directory")
    bus_prefix: str = Field(
        default="fm", pattern=r"^[a-z0-9]{1,32}$", description="first token of NATS subjects"
    )
    publish_prefix: str = Field(
        default="events",
        pattern=r"^[a-z0-9-]{1,32}$",
        description="first token of the NATS subjects that tasks may publish to",
    )
    retention_days: float = Field(
        default=30,
        gt=0,
        le=3650,
        description="days for which ended executions are stored; fractions are allowed",
    )
    finished_seconds: int = Field(
        default=600,
        ge=0,
        le=86_400,
        description="seconds for which Redis caches the state of an ended execution",
    )
    policy: str = Field(
        default="",
        description="package.module:factory of the policy that decides which tasks may run",
    )
    archive_dir: str = Field(
        default="",
        description="folder, or s3://bucket, in which ended executions are archived before they are"
        " deleted (docs/retention.md)",
    )
    drill_report: str = Field(
        default="",
        description="JSON file with the report of the last backup drill, for exports of evidence",
    )
    reflection: bool = Field(default=True, description="serve gRPC reflection")
    failpoints: str = Field(
        default="", description="for tests: failpoints at which the process fails on purpose"
    )

    @property
    def egress_networks(self) -> tuple[str, ...]:
        """The networks of `egress_allow`."""
        return split(self.egress_allow)

    @property
    def plugin_public_keys(self) -> tuple[str, ...]:
        """The keys of `plugin_keys`."""
        return split(self.plugin_keys)

    @property
    def agent_namespace_names(self) -> tuple[str, ...]:
        """The names of `agent_namespaces`."""
        return split(self.agent_namespaces)

    @property
    def ai_provider_names(self) -> tuple[str, ...]:
        """The names of `ai_providers`."""
        return split(self.ai_providers)

    @property
    def ai_services(self) -> tuple[tuple[str, str, str, str], ...]:
        """Name, URL, model and key file of each of `ai_providers`."""
        known = {
            "claude": (self.ai_claude_url, self.ai_claude_model, self.ai_claude_key_file),
            "openai": (self.ai_openai_url, self.ai_openai_model, self.ai_openai_key_file),
            "copilot": (self.ai_copilot_url, self.ai_copilot_model, self.ai_copilot_key_file),
        }
        return tuple((name, *known[name]) for name in self.ai_provider_names)

    @property
    def builtin_task_types(self) -> tuple[str, ...]:
        """The types of `worker_task_types`."""
        return split(self.worker_task_types)

    @property
    def builtin_queues(self) -> tuple[str, ...]:
        """The queues of `worker_queues`."""
        return split(self.worker_queues)

    @property
    def learned_queues(self) -> tuple[str, ...]:
        """The namespaces and queues of `learned_routing`."""
        return split(self.learned_routing)

    @property
    def has_tls(self) -> bool:
        """True if a certificate is configured."""
        return bool(self.certs or self.tls_cert or self.tls_key or self.tls_client_ca)

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The names of `http_hosts`."""
        return split(self.http_hosts)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of `http_origins`."""
        return split(self.http_origins)

    @property
    def cors_allowed_origins(self) -> tuple[str, ...]:
        """The origins of `cors_origins`."""
        return split(self.cors_origins)


def unknown_variables() -> list[str]:
    """Return the variables with the prefix of settings that are unknown, often misspelled."""
    known = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields} | OTHER_VARIABLES
    return sorted(
        name
        for name in os.environ
        if name.startswith(ENV_PREFIX)
        and not name.startswith(SECRETS_PREFIX)
        and name.upper() not in known
    )
