"""The services of a running application, by kind and name."""

from collections.abc import Callable
from typing import Any

from flowmesh.apps.data.statements import Dialect
from flowmesh.apps.document.model import AppDocument
from flowmesh.errors import Unavailable

_SQLITE = frozenset({"sqlite", "sqlite3"})


class ServiceRegistry:
    """Services by kind and name; without a name, the only one of the kind."""

    def __init__(self, document: AppDocument) -> None:
        self._document = document
        self._services: dict[tuple[str, str], Any] = {}

    def put(self, kind: str, name: str, service: Any) -> None:
        self._services[kind, name] = service

    def get(self, kind: str, name: str = "") -> Any:
        """Return a service; None if there is none."""
        found = self._services.get((kind, name))
        if found is not None or name:
            return found
        only = [each for (each_kind, _), each in self._services.items() if each_kind == kind]
        return only[0] if len(only) == 1 else None

    def all(self, kind: str) -> list[Any]:
        return [each for (each_kind, _), each in self._services.items() if each_kind == kind]

    def names(self, kind: str) -> list[str]:
        return [name for each_kind, name in self._services if each_kind == kind]

    def later(self, kind: str, name: str) -> Callable[[], Any]:
        """Return a function that finds the service when the application runs."""
        found: list[Any] = []

        def find() -> Any:
            if found:
                return found[0]
            service = self.get(kind, name)
            if service is None:
                text = f"the application runs no {kind} {name!r}".replace(" ''", "")
                raise Unavailable("SERVICE_MISSING", text)
            found.append(service)
            return service

        return find

    def dialect(self, database: str) -> Dialect | None:
        """Return the dialect of a database of the document; None if there is no such database."""
        base, _, connection = database.rpartition(".")
        module = self._document.module(database)
        config = module.config if module is not None else {}
        if module is None and base:
            module = self._document.module(base)
            config = (module.config.get("connections") or {}).get(connection, {}) if module else {}
        if module is None:
            return None
        if module.type == "storage.sqlite":
            return "sqlite"
        if module.type == "database.modular" and "connections" in config:
            default = config.get("default") or next(iter(config["connections"]), "")
            config = config["connections"].get(default, {})
        driver = str(config.get("driver", "")).lower()
        return "sqlite" if driver in _SQLITE else "postgres"
