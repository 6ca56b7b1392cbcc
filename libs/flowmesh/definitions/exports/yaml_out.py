"""Documents as YAML that reads back unchanged: no aliases, and strings that look like numbers or
booleans are quoted.
"""

from collections.abc import Iterable
from typing import Any

import yaml

_WIDTH = 100
_READ_OTHERWISE = frozenset("+-.0123456789~")
_WORDS = frozenset({"", "null", "true", "false"})


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif text[:1] in _READ_OTHERWISE or text.lower() in _WORDS:
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def write_yaml(documents: Iterable[Any]) -> str:
    """Return the documents, separated by `---`."""
    text: str = yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH
    )
    return text
