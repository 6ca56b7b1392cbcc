"""Extension attributes of CloudEvents 1.0, in JSON and in messages."""

from collections.abc import Mapping

from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, Violation
from flowmesh.standards.events import ATTRIBUTES, NAME, NAME_FORM, violated_requirement


def extension_values(event: Mapping[str, Json]) -> dict[str, Json]:
    """Return the attributes of an event that CloudEvents does not name."""
    return {name: value for name, value in event.items() if name not in ATTRIBUTES}


def extensions_of(given: Mapping[str, Json]) -> dict[str, pb.ExtensionValue]:
    """Return extension attributes as messages. Raises EVENT_INVALID for an invalid one."""
    return {name: _message(name, value) for name, value in given.items()}


def check_extensions(extensions: Mapping[str, pb.ExtensionValue]) -> None:
    """Check extension attributes. Raises EVENT_INVALID for an invalid one."""
    for name, value in extensions.items():
        _check(name, json_of(value))


def json_of(value: pb.ExtensionValue) -> Json:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def _message(name: str, value: Json) -> pb.ExtensionValue:
    _check(name, value)
    if isinstance(value, bool):
        return pb.ExtensionValue(flag=value)
    return (
        pb.ExtensionValue(whole=value) if isinstance(value, int) else pb.ExtensionValue(text=value)
    )


def _check(name: str, value: Json) -> None:
    what = f"be {wanted}" if (wanted := violated_requirement(name, value)) else ""
    if name in ATTRIBUTES:
        what = "not be an extension: it is an attribute of every event"
    elif not NAME.match(name):
        what = f"have a name of at most 64 {NAME_FORM}"
    if what:
        field = f"extensions.{name}"
        violation = Violation(field, f"must {what}", "EVENT_INVALID")
        message = f"extensions.{name[:64]} must {what}"
        raise Invalid("EVENT_INVALID", message, violations=(violation,))
