"""Named queries of services stay behind the typed methods of their stores."""

import ast
import re
from collections.abc import Iterator

from tests.tidy import sources

SERVICES = "services/flowmesh/"
NAMED = re.compile(r"^-- name: ([\w-]+)", re.MULTILINE)
STORES = re.compile(r"/storage/|/(\w+_)?store\.py$")
RUNS = frozenset({"one", "rows", "record", "records", "run", "value", "execute"})


def _service(name: str) -> str:
    return name.removeprefix(SERVICES).split("/")[0]


def _queries() -> dict[str, set[str]]:
    """The names of the queries of each service."""
    found: dict[str, set[str]] = {}
    for name in sources.tracked():
        if name.startswith(SERVICES) and name.endswith(".sql") and "/sql/" in name:
            found.setdefault(_service(name), set()).update(
                query.replace("-", "_") for query in NAMED.findall(sources.text(name))
            )
    return found


def _calls(name: str) -> Iterator[ast.Call]:
    tree = ast.parse(sources.text(name))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _is_query(call: ast.Call, queries: set[str]) -> bool:
    """True if a call names a query, as a text or as the attribute of `sql`."""
    texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value
        on_sql = isinstance(owner, ast.Attribute) and owner.attr in ("_sql", "sql")
        if on_sql and call.func.attr in queries:
            return True
        return call.func.attr in RUNS and any(text in queries for text in texts)
    is_partial = isinstance(call.func, ast.Name) and call.func.id == "partial"
    return is_partial and any(text in queries for text in texts)


def test_queries_are_named_in_stores_only() -> None:
    """A consumer calls a typed method of a store; it names no query."""
    queries = _queries()
    found = [
        f"{name}:{call.lineno}"
        for name in sources.python()
        if name.startswith(SERVICES) and not STORES.search(name)
        for call in _calls(name)
        if _is_query(call, queries.get(_service(name), set()))
    ]
    assert not found, sources.lines(found)


def test_every_query_is_used() -> None:
    """A query that no store runs is deleted."""
    unused = []
    for service, queries in _queries().items():
        code = "\n".join(
            sources.text(name)
            for name in sources.python()
            if name.startswith(f"{SERVICES}{service}/")
        )
        unused += [
            f"{service}: {query}"
            for query in sorted(queries)
            if not re.search(rf"[\"']{query}[\"']|\.{query}\b", code)
        ]
    assert not unused, sources.lines(unused)
