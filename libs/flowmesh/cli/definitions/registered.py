"""Output of registered versions."""

from typing import TYPE_CHECKING, Any

from flowmesh.cli import output

if TYPE_CHECKING:
    from flowmesh.sdk.client.parts.workflows import Resource


def resource_json(resource: "Resource") -> dict[str, Any]:
    return output.members(resource, "* -digest")


def resource_line(resource: "Resource") -> str:
    """`Workflow order: version 2`, or `… unchanged (version 2)` if that version existed."""
    version = f"version {resource.version}"
    if not resource.created:
        version = f"unchanged ({version})"
    return f"{resource.kind} {resource.name}: {version}"
