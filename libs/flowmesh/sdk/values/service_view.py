"""The instances of a watch as last received. Pure."""

from collections.abc import Iterator
from typing import Final

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.errors import Invalid
from flowmesh.records import value_from
from flowmesh.sdk.values.services import Service, ServiceChange

_ABSENT: Final = (pb.INSTANCE_STATUS_OFFLINE, pb.INSTANCE_STATUS_UNSPECIFIED)


class View:
    """The instances that are not offline, by id."""

    def __init__(self) -> None:
        self._known: dict[str, Service] = {}

    @property
    def services(self) -> tuple[Service, ...]:
        """The instances by name and id."""
        return tuple(sorted(self._known.values(), key=lambda each: (each.name, each.id)))

    def apply(self, message: pb.WatchInstancesResponse) -> list[ServiceChange]:
        """Apply a message of the watch; return the changes that it makes."""
        changes = list(self._gone(message)) if message.snapshot else []
        for instance in message.instances:
            before = self._known.get(instance.id)
            try:
                service = value_from(Service, instance)
            except Invalid:
                continue  # an endpoint of a newer version
            if instance.status in _ABSENT:
                if self._known.pop(instance.id, None) is not None:
                    changes.append(ServiceChange("left", service, before))
                continue
            self._known[instance.id] = service
            if before is None:
                changes.append(ServiceChange("registered", service))
            elif before != service:
                changes.append(ServiceChange("changed", service, before))
        return changes

    def _gone(self, message: pb.WatchInstancesResponse) -> Iterator[ServiceChange]:
        """Remove the instances that a snapshot no longer has."""
        present = {instance.id for instance in message.instances}
        for instance_id in [each for each in self._known if each not in present]:
            before = self._known.pop(instance_id)
            yield ServiceChange("left", before, before)
