"""The conversation of a host with the process of an application: JSON lines on a socket pair.

    host                                     process
    Begin  folder, environment, limits  ->
                                        <-   Built    servers with the addresses they want
    Start  listening sockets            ->
                                        <-   Ready    modules are started, requests are accepted
                                        <-   Served   the requests of each ten seconds
    Drain                               ->
                                             completes its requests and exits

Instead of Built or Ready the process may answer Refused, and exits. A Begin with `check` is
answered by Checked with all findings, and the process exits. The end of the host is the end
of the connection, and of the process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson

from flowmesh.apps.components.plugins import PluginType
from flowmesh.contract.json_value import Json

# A connection of a host carries at most so much before the end of a line.
LINE_BYTES_MAX = 4 * 1024 * 1024
SOCKETS_MAX = 32
# The variables by which clients prove themselves to a suite.
API_KEY = "FLOWMESH_API_KEY"
CREDENTIALS = (API_KEY, "FLOWMESH_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The application to build, and the bounds of its process."""

    app: str
    # File of the document, and the folder for data, which outlives the release.
    document: str
    data: str
    environment: Mapping[str, str]
    memory_bytes: int
    files_max: int
    # The policy of outgoing connections, and the networks that it admits besides.
    egress: str
    egress_allow: Sequence[str] = ()
    # Its callers are strangers to each other: routes of operators want a user, also from loopback.
    closed: bool = False
    # The variables by which clients reach the suite of the host; empty if they need a credential.
    suite: Mapping[str, str] = field(default_factory=dict)
    # The variables whose values neither findings nor refusals show.
    hidden: Sequence[str] = ()
    # The module types of plugins that the release may have.
    plugins: Mapping[str, PluginType] = field(default_factory=dict)
    # The document is checked, and nothing is built for a start.
    check: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedServer:
    """A server and the address of its configuration; port 0 is any."""

    server: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The application is built and can be started."""

    servers: list[WantedServer] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # The plugins whose module types it has.
    plugins: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The names of the servers, in the order of the sockets beside the message."""

    servers: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The application accepts requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A finding of a document that prevents the start."""

    place: str
    message: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteServed:
    """The requests of a route: those that failed with a status from 500, and their times."""

    route: str
    completed: int
    failed: int
    seconds: float
    # By the bounds of `flowmesh.telemetry.durations`.
    buckets: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The requests that ended since the last message."""

    routes: list[RouteServed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The application does not start."""

    reason: str
    message: str
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A finding with its place in a file of the release."""

    code: str
    message: str
    warning: bool
    path: str
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The findings of a document that was to be checked; the process exits."""

    findings: list[Placed] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Accept no more connections, and exit; idle ones are closed after this time.

    Durable runs of the process have `runs_s` to end.
    """

    linger_s: float
    runs_s: float = 0.0


Message = Begin | Built | Start | Ready | Served | Refused | Checked | Drain
_KINDS: Mapping[str, type[Message]] = {
    each.__name__: each for each in (Begin, Built, Start, Ready, Served, Refused, Checked, Drain)
}


def written(message: Message) -> bytes:
    """Return a message as a line."""
    return orjson.dumps({"kind": type(message).__name__, **asdict(message)}) + b"\n"


def read(line: bytes) -> Message:
    """Return the message of a line."""
    fields: dict[str, Json] = orjson.loads(line)
    kind = _KINDS[fields.pop("kind")]
    if kind is Begin:
        fields["plugins"] = {name: PluginType(**each) for name, each in fields["plugins"].items()}
    if kind is Built:
        fields["servers"] = [WantedServer(**each) for each in fields["servers"]]
    if kind is Served:
        fields["routes"] = [RouteServed(**each) for each in fields["routes"]]
    if kind is Refused:
        fields["findings"] = [Finding(**each) for each in fields["findings"]]
    if kind is Checked:
        fields["findings"] = [Placed(**each) for each in fields["findings"]]
    return kind(**fields)
