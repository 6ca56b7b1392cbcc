"""`template`: templates, and the creation of workflows from them."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, command, connected, run
from flowmesh.cli.definitions.registered import resource_json, resource_line
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Template

Settings = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set", negative="", help="Parameter as name=value, JSON or text; can be repeated."
    ),
]


@command
async def list_templates(*, common: Common = COMMON) -> None:
    """List the templates, including the bundled ones."""
    async with connected(common) as client:
        found = [template async for template in client.templates()]
        output.table(
            found,
            _template_json,
            "TEMPLATE=name VERSION DESCRIPTION",
            none="No templates found.",
            VERSION=lambda each: str(each.version or "bundled"),
        )


@command
async def show_template(name: str, /, *, version: int = 0, common: Common = COMMON) -> None:
    """Show a template with its parameters.

    Args:
        name: Name of the template.
        version: Version of the template; 0 is the newest.
    """
    async with connected(common) as client:
        template = await client.get_template(name, version=version)
        if common.structured:
            output.document(_template_json(template) | {"definition": template.definition})
            return
        output.line(f"{template.name}, {_version(template)}: {template.description}")
        required = set(template.parameters.get("required", ()))
        rows = [
            (
                f"  {key}",
                str(member.get("type", "any")),
                _describe(member, required=key in required),
            )
            for key, member in template.parameters.get("properties", {}).items()
        ]
        output.columns(("  PARAMETER", "TYPE", "DESCRIPTION"), rows)


@command
def new_workflow(
    template: str,
    name: str,
    /,
    *,
    settings: Settings = (),
    parameters: str = "{}",
    version: int = 0,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """Create a workflow from a template and register it.

    Args:
        template: Name of the template.
        name: Id of the new workflow.
        parameters: Object of all parameters: JSON, @file, or - for standard input; --set overrides
            members.
        version: Version of the template; 0 is the newest.
        dry_run: Print the generated definition without registering it.
    """

    values = _parameters(parameters, settings)

    async def create(client: "Client") -> int:
        made = await client.instantiate(template, name, values, version=version, dry_run=dry_run)
        if common.structured:
            resources = [resource_json(resource) for resource in made.resources]
            output.document({"resources": resources, "source": made.source})
            return exit_codes.DONE
        if dry_run:
            output.block(made.source.rstrip())
        for resource in made.resources:
            output.line(resource_line(resource))
        return exit_codes.DONE

    return run(common, create)


def _parameters(text: str, settings: tuple[str, ...]) -> dict[str, Any]:
    import orjson

    values = read_value(text, "--parameters")
    if not isinstance(values, dict):
        raise Refused("--parameters is not a JSON object", code=USAGE)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise Refused(f"--set {setting!r} is not name=value", code=USAGE)
        try:
            values[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            values[name] = value
    return values


def _describe(member: Any, *, required: bool) -> str:
    text = str(member.get("description", ""))
    if "default" in member:
        return f"{text} (default {output.compact(member['default'])})".strip()
    return f"{text} (required)".strip() if required else text


def _version(template: "Template") -> str:
    return f"version {template.version}" if template.version else "bundled"


def _template_json(template: "Template") -> dict[str, Any]:
    bundled = {"name": template.name, "version": template.version, "bundled": not template.version}
    return bundled | output.members(template, "* -definition")
