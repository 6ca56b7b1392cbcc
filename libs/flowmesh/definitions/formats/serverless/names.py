"""Names of Serverless Workflow documents as workflow ids, and back.

A document of the namespace `default` has its name as id, any other `<namespace>.<name>`. Neither
part holds a dot, so ids are unique, and an id has at most 127 characters.
"""

import re

from flowmesh.definitions.reading.reader import Reader

DEFAULT_NAMESPACE = "default"
NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\Z")
NAME_FORM = "letters, digits and -, at most 63"


def workflow_id(namespace: str, name: str) -> str:
    """Return the workflow id of a document's namespace and name."""
    return name if namespace == DEFAULT_NAMESPACE else f"{namespace}.{name}"


def document_name(workflow: str) -> tuple[str, str]:
    """Return the namespace and the name of a workflow's document."""
    namespace, dot, name = workflow.partition(".")
    if not dot or namespace == DEFAULT_NAMESPACE:
        return DEFAULT_NAMESPACE, workflow
    return namespace, name


def read_name(reader: Reader, key: str, what: str) -> str:
    """Return a namespace or a name; empty if missing or wrong, which is noted."""
    value = reader.required_text(key, what)
    if value and not NAME.match(value):
        message = f"{key} {value[:64]!r} is not a name: {NAME_FORM}"
        reader.problems.add("ID_INVALID", message, (*reader.path, key))
        return ""
    return value
