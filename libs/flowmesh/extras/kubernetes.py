"""Kinds of a cluster as classes of lightkube, which admits one for each kind of a process.

So the operator and a fleet of pods can run in one.
"""

from lightkube.core.resource_registry import resource_registry
from lightkube.generic_resource import (
    GenericGlobalResource,
    GenericNamespacedResource,
    create_global_resource,
    create_namespaced_resource,
)


def namespaced_kind(
    group: str, version: str, kind: str, plural: str
) -> type[GenericNamespacedResource]:
    """Return the class of a kind whose objects are in namespaces."""
    known = resource_registry.get(f"{group}/{version}" if group else version, kind)
    if known is not None and issubclass(known, GenericNamespacedResource):
        return known
    return create_namespaced_resource(group, version, kind, plural)


def global_kind(group: str, version: str, kind: str, plural: str) -> type[GenericGlobalResource]:
    """Return the class of a kind whose objects are in no namespace."""
    known = resource_registry.get(f"{group}/{version}" if group else version, kind)
    if known is not None and issubclass(known, GenericGlobalResource):
        return known
    return create_global_resource(group, version, kind, plural)
