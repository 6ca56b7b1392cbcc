"""The commands `dev`, `serve`, `cluster` and `accounts`: flags to settings, errors to one line.

Help and completion read the signatures too, on installations without server code.
"""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

Egress = Literal["open", "public"]
Auth = Literal["open", "closed"]
DEV_LOG_LEVEL = "warning"
# A page of another site reaches a developer's machine by a name that resolves to it.
LOCAL_HOSTS = "localhost"
# Of one service; there are 64 partitions with one owner each.
PROCESSES_MAX = 64
# Ids have room for so many cells.
CELLS_MAX = 16
_EXPOSED = (
    "every machine that reaches {host} could do everything: close the installation with"
    " --auth closed (see `flowmesh identity init`), or pass --open-to-network"
)


def _from(variable: str, *, shown: bool = True, **more: Any) -> Parameter:
    """A flag with a FLOWMESH_* setting of the same meaning; help hides an empty default."""
    return Parameter(env_var=f"FLOWMESH_{variable}", show_default=shown, **more)


EgressFlag = Annotated[Egress, _from("EGRESS", shown=False)]
DataDir = Annotated[str, _from("DATA_DIR")]
HttpPort = Annotated[int, _from("HTTP_PORT")]
GrpcPort = Annotated[int, _from("GRPC_PORT")]
AuthFlag = Annotated[Auth, _from("AUTH")]
KeyFile = Annotated[str, _from("KEY_FILE", shown=False)]
Certs = Annotated[str, _from("CERTS", shown=False)]
Host = Annotated[str, _from("HOST")]
HttpHosts = Annotated[str, _from("HTTP_HOSTS")]
Postgres = Annotated[str, _from("POSTGRES", shown=False)]
Nats = Annotated[str, _from("NATS", shown=False)]
Redis = Annotated[str, _from("REDIS", shown=False)]
LogLevel = Annotated[str, _from("LOG_LEVEL", help="debug, info, warning or error.")]
Count = Annotated[int, Parameter(validator=Number(gte=1, lte=PROCESSES_MAX))]
LogFormat = Annotated[str, _from("LOG_FORMAT", shown=False, help="json or console.")]
OtlpEndpoint = Annotated[str, _from("OTLP_ENDPOINT", shown=False)]


def dev(
    *,
    egress: EgressFlag | None = None,
    ephemeral: Annotated[bool, Parameter(negative="")] = False,
    orchestrators: Count = 1,
    workers: Count = 1,
    cells: Annotated[int, Parameter(validator=Number(gte=1, lte=CELLS_MAX))] = 1,
    data_dir: DataDir = ".flowmesh",
    http_port: HttpPort = 3000,
    grpc_port: GrpcPort = 7450,
    host: Host = "127.0.0.1",
    auth: AuthFlag = "open",
    key_file: KeyFile = "",
    open_to_network: Annotated[bool, Parameter(negative="")] = False,
    tls: Annotated[bool, Parameter(negative="")] = False,
    http_hosts: HttpHosts = LOCAL_HOSTS,
    postgres: Postgres = "",
    nats: Nats = "",
    redis: Redis = "",
    log_level: LogLevel = DEV_LOG_LEVEL,
    log_format: LogFormat = "",
    otlp_endpoint: OtlpEndpoint = "",
) -> int:
    """Start the whole suite on this machine: servers, services, REST and gRPC in one process.

    Args:
        egress: Addresses that steps may call: any (default if open), or public ones (if closed).
        ephemeral: Keep the data in a temporary folder that is removed at exit.
        orchestrators: How many orchestrators; those after the first are processes of their own.
        workers: How many worker services; those after the first are processes of their own.
        cells: How many whole suites side by side, each in a region, with one directory.
        data_dir: Where everything is kept.
        http_port: Port of REST, events and metrics; 0 picks a free one.
        grpc_port: Port of gRPC; 0 picks a free one.
        host: Address to listen on.
        auth: open: every caller may do everything; closed: each call needs a credential.
        key_file: Key file of a closed installation, made by `flowmesh identity init`.
        open_to_network: Listen on another address than this machine's own although everything is
            open.
        tls: Speak TLS on both ports, with an authority in `certs` of the data directory.
        http_hosts: Host names that HTTP requests may name beside localhost and IP addresses,
            separated by commas; * is any.
        postgres: Address of a PostgreSQL to use instead of the embedded one.
        nats: Address of a NATS server with JetStream to use instead of the embedded one.
        redis: Address of a Redis to use instead of the embedded one.
        otlp_endpoint: host:port of an OTLP/gRPC collector for traces.
    """
    flags: dict[str, Any] = dict(locals())
    flags["egress"] = egress or _egress_of(auth)
    own = {name: flags.pop(name) for name in ("ephemeral", "orchestrators", "workers", "tls")}
    if not flags.pop("open_to_network") and _is_exposed(auth, host):
        return _fail(_EXPOSED.format(host=host))
    if flags.pop("cells") > 1:
        from flowmesh.suite.cells.running import run_cells

        return _run(_given(**flags), lambda settings: run_cells(settings, cells, **own))
    from flowmesh.suite.dev import run_dev

    return _run(_given(**flags), lambda settings: run_dev(settings, **own))


def serve(
    *services: str,
    postgres: str | None = None,
    nats: str | None = None,
    redis: str | None = None,
    registry: str | None = None,
    host: str | None = None,
    grpc_port: int | None = None,
    http_port: int | None = None,
    advertise: str | None = None,
    auth: AuthFlag = "closed",
    key_file: str | None = None,
    certs: str | None = None,
    data_dir: str | None = None,
    egress: Egress | None = None,
    log_level: str | None = None,
    log_format: str | None = None,
    otlp_endpoint: str | None = None,
) -> int:
    """Run services in this process against given servers. What no flag says, FLOWMESH_* says.

    Args:
        services: identity, definition, registry, event, orchestrator, worker, apphost, gateway,
            fleet, or the operator; one or more.
        postgres: postgresql://user:password@host:port/name
        nats: nats://token@host:port
        redis: redis://host:port/0 or unix:///path
        registry: host:port of the registry, where it is not in this process.
        host: Address to listen on.
        grpc_port: Port of gRPC; 0 picks a free one.
        http_port: Port of health, metrics and REST; 0 picks a free one.
        advertise: host:port others reach this process at.
        auth: closed: each call needs a credential; open: every caller may do everything.
        key_file: Key file of the installation, made by `flowmesh identity init`.
        certs: Folder of the certificate of this process, made by `flowmesh certs issue service`.
        data_dir: Folder for what this process keeps.
        egress: Addresses that steps may call: any (default if open), or public ones (if closed).
        log_level: debug, info, warning or error.
        log_format: json or console.
        otlp_endpoint: host:port of an OTLP/gRPC collector for traces.
    """
    from flowmesh.suite.serve import run_serve

    flags: dict[str, Any] = dict(locals())
    names = flags.pop("services")
    flags.pop("run_serve")
    given = {key: value for key, value in flags.items() if value is not None}
    return _run(given, lambda settings: run_serve(settings, names))


def cluster(
    *,
    data_dir: DataDir = ".flowmesh",
    http_port: HttpPort = 3000,
    grpc_port: GrpcPort = 7450,
    orchestrators: Count = 2,
    workers: Count = 2,
    egress: EgressFlag | None = None,
    postgres: Postgres = "",
    nats: Nats = "",
    redis: Redis = "",
    auth: AuthFlag = "closed",
    key_file: KeyFile = "",
    certs: Certs = "",
    http_hosts: HttpHosts = LOCAL_HOSTS,
    log_level: LogLevel = DEV_LOG_LEVEL,
) -> int:
    """Start the servers and each core service as a process of its own, on this machine.

    Args:
        data_dir: Where everything is kept; cluster.json in it names the processes.
        http_port: Port of the gateway, the others follow; 0 picks free ones.
        grpc_port: First gRPC port, the others follow; 0 picks free ones.
        orchestrators: How many orchestrators.
        workers: How many worker services.
        egress: Addresses that steps may call: any (default if open), or public ones (if closed).
        postgres: Address of a PostgreSQL to use instead of the embedded one.
        nats: Address of a NATS server with JetStream to use instead of the embedded one.
        redis: Address of a Redis to use instead of the embedded one.
        auth: closed: each call needs a credential; open: every caller may do everything.
        key_file: Key file of the installation, made by `flowmesh identity init`.
        certs: Folder of an authority, made if missing: the processes speak TLS and verify each
            other.
        http_hosts: Host names that HTTP requests may name beside localhost and IP addresses,
            separated by commas; * is any.
        log_level: debug, info, warning or error.
    """
    from flowmesh.suite.cluster import run_cluster

    given = _given(
        egress=egress or _egress_of(auth),
        data_dir=data_dir,
        http_port=http_port,
        grpc_port=grpc_port,
        postgres=postgres,
        nats=nats,
        redis=redis,
        auth=auth,
        key_file=key_file,
        certs=certs,
        http_hosts=http_hosts,
        log_level=log_level,
    )
    return _run(
        given, lambda settings: run_cluster(settings, orchestrators=orchestrators, workers=workers)
    )


def accounts(
    *,
    folder: Annotated[Path, Parameter(name="--dir")] = Path("accounts"),
    nats: str = "nats://nats:4222",
    redis: str = "redis://redis:6379/0",
) -> int:
    """Write an account of NATS and of Redis for each service, for servers in containers.

    Accounts that are there stay. Subjects and keys begin with FLOWMESH_BUS_PREFIX and
    FLOWMESH_PUBLISH_PREFIX.

    Args:
        folder: Where `nats.conf` and `redis.conf` of the servers are written, and `SERVICE.env` and
            `SERVICE.nk` of each service.
        nats: Address of the NATS server, without a user.
        redis: Address of the Redis server, without a user.
    """

    from flowmesh.suite.accounts import write_accounts

    return _run({}, lambda settings: write_accounts(settings, folder, nats, redis))


def _egress_of(auth: Auth) -> Egress:
    """Return the egress policy of an installation whose users name none."""
    return "open" if auth == "open" else "public"


def _is_exposed(auth: Auth, host: str) -> bool:
    """Return whether an open installation can be reached from other machines."""
    import ipaddress

    if auth == "closed":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def _given(**flags: Any) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value != ""}


def _run(flags: dict[str, Any], work: Any) -> int:
    """Run a command to its end; each foreseeable failure is one line and exit code 1."""
    import uvloop

    from flowmesh.runtime import Settings, unknown_variables
    from flowmesh.suite.files import print_error
    from flowmesh.telemetry import configure_logs

    try:
        settings = Settings(**flags)
    except ValueError as error:
        return _fail(_validation_text(error))
    configure_logs(settings.log_level, settings.log_format)
    for name in unknown_variables():
        print_error(f"no setting reads {name}; see `flowmesh config`")
    try:
        uvloop.run(_cancellable(work(settings)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except Exception as error:
        if not isinstance(error, _foreseen()):
            raise
        return _fail(str(error))
    return 0


def _foreseen() -> tuple[type[Exception], ...]:
    """Errors whose text is one line with a remedy; imported only when an error is handled."""
    from flowmesh.embedded import EmbeddedError
    from flowmesh.runtime import StartError
    from flowmesh.storage import StorageError

    return (StartError, EmbeddedError, StorageError)


async def _cancellable(work: Coroutine[Any, Any, None]) -> None:
    """End the process in order on a signal before it handles signals itself."""
    import signal

    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    await task


def _fail(text: str) -> int:
    from flowmesh.suite.files import print_error

    print_error(text)
    return 1


def _validation_text(error: ValueError) -> str:
    problems = getattr(error, "errors", None)
    if problems is None:
        return str(error)
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems()
    )
