"""References to tasks: `name`, `name@3`, `namespace/name`, `namespace/name@3`."""

import re
from dataclasses import dataclass

_REF = re.compile(
    r"(?:(?P<namespace>[A-Za-z0-9._:-]{1,128})/)?(?P<name>[A-Za-z0-9._:-]{1,128})"
    r"(?:@(?P<version>[1-9][0-9]{0,8}))?"
)
FORM = "name, name@version or namespace/name@version"


@dataclass(frozen=True, slots=True, order=True)
class TaskRef:
    """A task of the library; version 0 resolves to the newest when a plan is made."""

    namespace: str
    name: str
    version: int = 0

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" + (f"@{self.version}" if self.version else "")


def is_task_ref(text: str) -> bool:
    return _REF.fullmatch(text) is not None


def task_ref(text: str, namespace: str) -> TaskRef:
    """Parse a well-formed reference of a workflow in `namespace`."""
    found = _REF.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no {FORM}")
    return TaskRef(found["namespace"] or namespace, found["name"], int(found["version"] or 0))
