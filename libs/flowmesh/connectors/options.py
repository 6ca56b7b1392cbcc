"""Reading of the options of connectors."""

from collections.abc import Mapping
from typing import Any

from flowmesh.contract.hosts import address_problem


def options_of(given: Mapping[str, Any], **defaults: Any) -> dict[str, Any]:
    """Return the options with defaults; `...` marks a required one. Raises ValueError."""
    if unknown := sorted(given.keys() - defaults.keys()):
        raise ValueError(f"there is no option {unknown[0]!r}; known are {', '.join(defaults)}")
    found = {**defaults, **given}
    for name, default in defaults.items():
        value = found[name]
        if value is ...:
            raise ValueError(f"the option {name!r} is missing")
        wanted = str if default is ... else type(default)
        if not isinstance(value, wanted) or isinstance(value, bool) is not (wanted is bool):
            raise ValueError(f"the option {name!r} must be a {wanted.__name__}, not {value!r}")
    if problem := address_problem(str(found.get("url", ""))):
        raise ValueError(f"the option 'url' is no address of a server: {problem}")
    return found
