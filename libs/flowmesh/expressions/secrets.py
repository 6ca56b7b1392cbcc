"""References to secrets: `secret://name#version` as a whole text, `{{secrets.name}}` in templates.

A secret is named by a key, `name` or `name#version`. Its value is known where tasks run, and
nowhere else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flowmesh.contract.json_value import Json
from flowmesh.expressions.errors import TemplateInvalid
from flowmesh.expressions.references import Reference
from flowmesh.expressions.scanner import OPEN
from flowmesh.expressions.templates import compile_template

ROOT = "secrets"
SCHEME = "secret://"
REFERENCE_FORM = "a reference to a secret is secret://name or secret://name#version"
_KEY = re.compile(r"([A-Za-z0-9._-]{1,128})(?:#([1-9][0-9]{0,8}))?")
_ROOTS = ("context", "input", ROOT)


def is_secret_reference(text: str) -> bool:
    """Return whether a text stands for a secret: `secret://name` or `secret://name#version`."""
    return text.startswith(SCHEME) and _KEY.fullmatch(text, len(SCHEME)) is not None


def is_malformed_reference(text: str) -> bool:
    """Return whether a text begins as a reference to a secret, and is none."""
    return text.startswith(SCHEME) and not is_secret_reference(text)


def split_key(key: str) -> tuple[str, int]:
    """Return the name and the version of a key; 0 is the newest. Raises ValueError."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise ValueError(f"{key[:50]!r} is no name of a secret; expected `name` or `name#version`")
    return found[1], int(found[2] or 0)


def key_of(reference: Reference) -> str:
    """Return the key that a reference with the root `secrets` reads. Raises ValueError."""
    key = reference.path[0] if reference.path else None
    if not isinstance(key, str):
        raise ValueError(f"{reference}: name one secret, as in secrets.token")
    split_key(key)
    return key


def with_templates(value: Json) -> Json:
    """Return the value with each `secret://` text as the template that reads the secret."""
    if isinstance(value, str):
        return f'{{{{{ROOT}["{value[len(SCHEME) :]}"]}}}}' if is_secret_reference(value) else value
    if isinstance(value, dict):
        return {key: with_templates(item) for key, item in value.items()}
    return [with_templates(item) for item in value] if isinstance(value, list) else value


def keys_in(value: Json) -> frozenset[str]:
    """Return the keys of the secrets that the templates of a value read. Raises ValueError."""
    return frozenset(key_of(found) for text in _texts(value) for found in _references(text))


@dataclass(frozen=True, slots=True)
class InputSecret:
    """A text of an input that stands for secrets, and its place."""

    path: tuple[str | int, ...]
    text: str

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the secrets. Raises ValueError."""
        return keys_in(with_templates(self.text))

    @property
    def placeholder(self) -> str:
        """The text in the stored input; it is no template."""
        return _placeholder(self.text)


def input_secrets(value: Json, path: tuple[str | int, ...] = ()) -> Iterator[InputSecret]:
    """Yield the texts of an input that stand for secrets and read nothing else."""
    if isinstance(value, str):
        if _stands_for_secret(value):
            yield InputSecret(path, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from input_secrets(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from input_secrets(item, (*path, index))


def with_placeholders(value: Json) -> Json:
    """Return an input whose texts that stand for secrets are constants."""
    if isinstance(value, str):
        return _placeholder(value) if _stands_for_secret(value) else value
    if isinstance(value, dict):
        return {key: with_placeholders(item) for key, item in value.items()}
    return [with_placeholders(item) for item in value] if isinstance(value, list) else value


def _stands_for_secret(text: str) -> bool:
    if is_secret_reference(text):
        return True
    if OPEN not in text or ROOT not in text:
        return False
    try:
        compile_template(text, (ROOT,))
    except TemplateInvalid:
        return False
    return any(_references(text))


def _placeholder(text: str) -> str:
    return text.replace(OPEN, "${").replace("}}", "}")


def _references(text: str) -> Iterator[Reference]:
    if OPEN not in text or ROOT not in text:
        return
    try:
        template = compile_template(text, _ROOTS)
    except TemplateInvalid:
        return
    yield from (found for found in template.references if found.root == ROOT)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
