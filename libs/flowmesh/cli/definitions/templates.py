"""`template`: what there is to start from, and new workflows made of it."""

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, guarded, run
from flowmesh.cli.definitions.sources import read_value
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.sdk import Client, Template

Settings = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set", negative="", help="name=value of a parameter, as JSON or as text; repeat it."
    ),
]


def list_templates(*, common: Common = COMMON) -> int:
    """List the templates there are, those that come with Flowmesh included."""

    async def work(client: "Client") -> int:
        found = [template async for template in client.templates()]
        if common.structured:
            output.document([_template_json(template) for template in found])
            return exit_codes.DONE
        rows = [(each.name, str(each.version or "bundled"), each.description) for each in found]
        header = ("TEMPLATE", "VERSION", "WHAT IT IS")
        output.columns(header, rows, none="No templates found.")
        return exit_codes.DONE

    return run(common, work)


def show_template(name: str, /, *, version: int = 0, common: Common = COMMON) -> int:
    """Show a template, with its parameters.

    Parameters
    ----------
    name
        Name of the template.
    version
        Which version; 0 is the newest.
    """

    async def work(client: "Client") -> int:
        template = await client.get_template(name, version=version)
        if common.structured:
            output.document(_template_json(template) | {"definition": template.definition})
            return exit_codes.DONE
        output.line(f"{template.name}, {_version(template)}: {template.description}")
        needed = set(template.parameters.get("required", ()))
        rows = [
            (
                f"  {key}",
                str(member.get("type", "any")),
                _said(member, required=key in needed),
            )
            for key, member in template.parameters.get("properties", {}).items()
        ]
        output.columns(("  PARAMETER", "TYPE", "WHAT IT IS"), rows)
        return exit_codes.DONE

    return run(common, work)


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
    """Make a workflow of a template and register it.

    Parameters
    ----------
    template
        Name of the template.
    name
        Id of the new workflow.
    parameters
        All of them as JSON, @file, or - for standard input; --set adds to them.
    version
        Of the template; 0 is the newest.
    dry_run
        Register nothing; print what the template becomes, to be changed and applied.
    """

    async def work(client: "Client") -> int:
        made = await client.instantiate(template, name, given, version=version, dry_run=dry_run)
        if common.structured:
            resources = [
                {"kind": r.kind, "name": r.name, "version": r.version, "created": r.created}
                for r in made.resources
            ]
            output.document({"resources": resources, "source": made.source})
        elif dry_run:
            output.line(made.source.rstrip())
        for resource in () if common.structured else made.resources:
            change = "version" if resource.created else "unchanged, version"
            output.line(f"{resource.kind} {resource.name}: {change} {resource.version}")
        return exit_codes.DONE

    given: dict[str, Any] = {}

    def read_and_run() -> int:
        given.update(_parameters(parameters, settings))
        return run(common, work)

    return guarded(common, read_and_run)


def _parameters(text: str, settings: tuple[str, ...]) -> dict[str, Any]:
    import orjson

    given = read_value(text, "--parameters")
    if not isinstance(given, dict):
        raise Refused("--parameters is no JSON object", code=USAGE)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise Refused(f"--set {setting!r} is not name=value", code=USAGE)
        try:
            given[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            given[name] = value
    return given


def _said(member: Any, *, required: bool) -> str:
    said = str(member.get("description", ""))
    if "default" in member:
        return f"{said} (default {output.compact(member['default'])})".strip()
    return f"{said} (required)".strip() if required else said


def _version(template: "Template") -> str:
    return f"version {template.version}" if template.version else "bundled"


def _template_json(template: "Template") -> dict[str, Any]:
    return {
        "name": template.name,
        "version": template.version,
        "bundled": template.version == 0,
        "description": template.description,
        "parameters": template.parameters,
    }
