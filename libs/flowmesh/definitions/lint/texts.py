"""Rules for secrets in plain text, readable by everyone with access to the definition."""

from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Path, Problems
from flowmesh.definitions.secrets import holds_secret

# Members that describe values and hold none.
_DESCRIBING = frozenset({"inputSchema", "outputSchema", "description"})
_PLACEHOLDERS = ("<", "${", "$(", "***")


def check_secrets(document: Json, problems: Problems) -> None:
    waiting: list[tuple[Json, str, Path]] = [(document, "", ())]
    found: list[tuple[Path, str]] = []
    while waiting:
        value, name, path = waiting.pop()
        if isinstance(value, dict):
            for key, item in value.items():
                if key not in _DESCRIBING:
                    waiting.append((item, key, (*path, key)))
        elif isinstance(value, list):
            waiting += ((item, name, (*path, index)) for index, item in enumerate(value))
        elif holds_secret(name, value) and not value.startswith(_PLACEHOLDERS):
            found.append((path, name))
    for path, name in sorted(found, key=lambda each: str(each[0])):
        message = f"{name} looks like a secret in plain text; store it, and write secret://name"
        problems.warn("LINT_SECRET", message, path)
