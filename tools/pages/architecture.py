"""The diagram of services and the table of libraries in docs/architecture.md.

Both are derived from the sources: the gRPC services that a package serves and calls, and the
libraries that it imports. The prose of the page is hand-written.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tools.pages import markdown

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "architecture.md"
SERVICES: Final = ROOT / "services" / "flowmesh"
LIBS: Final = ROOT / "libs" / "flowmesh"
_SERVED: Final = re.compile(r"\badd_(\w+Service)Servicer_to_server\b")
_CALLED: Final = re.compile(r"\b(\w+Service)Stub\b")
_PART: Final = "<!-- {name} -->\n"
_END: Final = "<!-- end -->\n"
# The servers, each with a pattern that occurs in the sources of services that use it.
SERVERS: Final = {
    "postgres[(PostgreSQL)]": re.compile(r"\bimport asyncpg\b"),
    "nats[(NATS JetStream)]": re.compile(r"\bfrom flowmesh\.bus\b"),
    "redis[(Redis)]": re.compile(r"\bfrom flowmesh\.storage\.redis_cache\b|\bfrom redis\b"),
}
# The libraries by rooms, from what users write down to what carries it.
ROOMS: Final = {
    "client": "cli connectors mesh sdk testing",
    "apps": "apps",
    "insight": "dashboards insight records views",
    "work": "dryrun egress executors models plugins saml sandbox walls",
    "engine": "engine plan tasktypes triggers",
    "language": "definitions expressions filters jsontext schemas sql standards transforms",
    "platform": (
        "access audit bus cells certificates changes contract core embedded errors extras"
        " failpoints outbox policies rpc runtime storage telemetry"
    ),
}


def page() -> str:
    """Return the page with its generated parts updated."""
    text = PAGE.read_text()
    for name, part in (("services", services_part), ("libraries", libraries_part)):
        begin = _PART.format(name=name)
        before, rest = text.split(begin)
        _, after = rest.split(_END, 1)
        text = f"{before}{begin}\n{markdown.join(part())}\n{_END}{after}"
    return text


@cache
def packages(root: Path) -> Mapping[str, str]:
    """Return the source text of each package below a folder, by its name."""
    return {
        folder.name: "\n".join(file.read_text() for file in sorted(folder.rglob("*.py")))
        for folder in sorted(root.iterdir())
        if (folder / "__init__.py").is_file()
    }


def services() -> list[str]:
    """Return the names of the services; the suite, which composes them, is none."""
    return [name for name in packages(SERVICES) if name != "suite"]


def served() -> dict[str, list[str]]:
    """Return the gRPC services of each service."""
    return {name: sorted(set(_SERVED.findall(packages(SERVICES)[name]))) for name in services()}


def calls() -> Iterator[tuple[str, str]]:
    """Yield pairs of caller and called; that each service registers itself is left out."""
    home = {contract: name for name, contracts in served().items() for contract in contracts}
    for name in services():
        called = {home[each] for each in _CALLED.findall(packages(SERVICES)[name])}
        yield from ((name, other) for other in sorted(called - {name}))


def services_part() -> list[str]:
    """The drawing, and which gRPC services each service serves and calls."""
    arrows = list(calls())
    lines = ["```mermaid", "flowchart LR"]
    lines += [
        "    clients[clients, CLI, browsers] -->|REST, SSE, WebSocket, gRPC| gateway",
        "    workers[your workers] <-->|tasks and results, one gRPC stream| worker",
    ]
    lines += [f"    {caller} --> {called}" for caller, called in arrows]
    for box, mention in SERVERS.items():
        users = [name for name in services() if mention.search(packages(SERVICES)[name])]
        lines.append(f"    {' & '.join(users)} --> {box}")
    lines += ["```", ""]
    rows = [
        (
            f"`{name}`",
            ", ".join(contracts) or "forwards the public ones",
            ", ".join(called for caller, called in arrows if caller == name) or "none",
        )
        for name, contracts in served().items()
    ]
    return lines + markdown.table(("service", "gRPC services", "calls"), rows)


def libraries_part() -> list[str]:
    """Each room with its libraries: their purpose, and the services that import them."""
    rows = []
    for room, libraries in ROOMS.items():
        for name in libraries.split():
            users = [
                service
                for service, source in packages(SERVICES).items()
                if f"flowmesh.{name}" in imported(source)
            ]
            title = f"**{room}**" if libraries.startswith(name) else ""
            rows.append((title, f"`{name}`", _purpose(LIBS / name), ", ".join(users)))
    return markdown.table(("room", "library", "purpose", "imported by"), rows)


@cache
def imported(source: str) -> frozenset[str]:
    """Return the packages of ours that a source imports, as `flowmesh.bus`."""
    return frozenset(re.findall(r"^\s*(?:from|import) (flowmesh\.\w+)", source, re.MULTILINE))


def _purpose(package: Path) -> str:
    """The first sentence of a package's docstring."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0]
