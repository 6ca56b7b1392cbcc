"""Compilation of schemas whose references stay within them: nothing is fetched or read."""

from collections.abc import Mapping
from typing import Any, NoReturn

import jsonschema_rs


class RemoteReference(ValueError):
    """A reference leads to another document."""


DRAFTS: dict[str, type[jsonschema_rs.Validator]] = {
    "4": jsonschema_rs.Draft4Validator,
    "6": jsonschema_rs.Draft6Validator,
    "7": jsonschema_rs.Draft7Validator,
    "2019-09": jsonschema_rs.Draft201909Validator,
    "2020-12": jsonschema_rs.Draft202012Validator,
}
"""The validators by the name of their draft."""


def compiled(
    schema: Any, *, validate_formats: bool = False, draft: str = ""
) -> jsonschema_rs.Validator:
    """Compile a schema, of the draft that it names by default.

    Raises ValueError; RemoteReference for one that names another document.
    """
    named: list[str] = []

    def refuse(uri: str) -> NoReturn:
        named.append(uri)
        raise ValueError(uri)

    try:
        make = DRAFTS[draft] if draft else jsonschema_rs.validator_for
        return make(
            schema,
            validate_formats=validate_formats,
            pattern_options=jsonschema_rs.RegexOptions(),
            retriever=refuse,
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        if named:
            text = f"{named[0][:100]} is another document; a $ref must point into its own schema"
            raise RemoteReference(text) from None
        raise ValueError(str(error).partition("\n")[0][:200]) from error


def with_defaults(schema: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with the defaults of the properties that it lacks."""
    properties = schema.get("properties", {})
    defaults = {
        name: each["default"]
        for name, each in properties.items()
        if isinstance(each, dict) and "default" in each
    }
    return {**defaults, **value}
