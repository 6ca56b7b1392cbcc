"""Reader of `WorkflowTemplate` of `workflow.io/v1`: resources with parameters."""

from flowmesh.definitions import limits
from flowmesh.definitions.model import WorkflowTemplate
from flowmesh.definitions.reading.reader import Reader, kind_of


def load(name: str, labels: dict[str, str], spec: Reader) -> WorkflowTemplate:
    resources = spec.items("resources")
    path = (*spec.path, "resources")
    if not spec.has("resources"):
        spec.missing("resources", "the list of resources to make")
    elif not 0 < len(resources) <= limits.TEMPLATE_RESOURCES_MAX:
        message = f"a template holds 1 to {limits.TEMPLATE_RESOURCES_MAX} resources"
        spec.problems.add("DEFINITION_INVALID", message, path)
        resources = []
    for index, resource in enumerate(resources):
        if not isinstance(resource, dict):
            message = f"a resource is an object, not {kind_of(resource)}"
            spec.problems.add("DEFINITION_INVALID", message, (*path, index))
    return WorkflowTemplate(
        name=name,
        description=spec.text("description", most=limits.DESCRIPTION_CHARACTERS_MAX),
        parameters=spec.raw("parameters"),
        resources=tuple(each for each in resources if isinstance(each, dict)),
        labels=labels,
        path=spec.path,
    )
