"""Compilation of schemas whose references stay within them: nothing is fetched or read."""

from typing import Any, NoReturn

import jsonschema_rs


class RemoteReference(ValueError):
    """A reference leads to another document."""


def compiled(schema: Any, *, validate_formats: bool = False) -> jsonschema_rs.Validator:
    """Compile a schema. Raises ValueError; RemoteReference for one that names another document."""
    named: list[str] = []

    def refuse(uri: str) -> NoReturn:
        named.append(uri)
        raise ValueError(uri)

    try:
        return jsonschema_rs.validator_for(
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
