"""Checks of responses against the OpenAPI document of the gateway."""

from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from flowmesh.gateway.app import REST
from flowmesh.gateway.openapi import document
from flowmesh.runtime.http.router import Router


class Description:
    """The document, prepared for checks of responses."""

    def __init__(self) -> None:
        self._document = document()
        self._router = Router(
            (
                (method.upper(), path, operation)
                for path, methods in self._document["paths"].items()
                for method, operation in methods.items()
            ),
            rest=REST,
        )

    def check(self, method: str, path: str, status: int, value: Any) -> None:
        """Fail if a path, a status or a JSON body is not described."""
        found = self._router.match(path.partition("?")[0])
        if found is None or method not in found[0].methods:
            assert status in (404, 405), f"{method} {path} is not described"
            return
        responses = found[0].methods[method]["responses"]
        assert str(status) in responses, f"{method} {found[0].template} answered {status}"
        content = responses[str(status)].get("content", {}).get("application/json")
        if content is None:
            return
        schema = {**content["schema"], "components": self._document["components"]}
        Draft202012Validator(schema).validate(value)


@cache
def description() -> Description:
    """Return the description of this version."""
    return Description()
