"""Resources App and Infrastructure on this machine, with embedded servers for their servers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.apps.document.loading import Loading
    from flowmesh.embedded import EmbeddedServers

KINDS = ("App", "Infrastructure")


@dataclass(frozen=True, slots=True)
class Declared:
    """The specs of the resources of files, by their names."""

    apps: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    infrastructure: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def declared_in(files: Sequence[Path]) -> Declared | None:
    """Return the resources of files; None for documents of applications. Raises Refused."""
    import yaml

    found, others = Declared(), []
    for file in files:
        text = file.read_text() if file.is_file() else ""
        documents = list(yaml.safe_load_all(text)) if "workflow.io/" in text else []
        listed = [
            each for each in documents if isinstance(each, dict) and each.get("kind") in KINDS
        ]
        if not listed:
            others.append(file)
        for each in listed:
            name, spec = (each.get("metadata") or {}).get("name"), each.get("spec")
            if not isinstance(name, str) or not isinstance(spec, dict):
                raise Refused(f"{file}: {each['kind']} needs metadata.name and spec", code=USAGE)
            (found.apps if each["kind"] == "App" else found.infrastructure)[name] = spec
    if not found.apps and not found.infrastructure:
        return None
    if others:
        text = f"{others[0]} is no App or Infrastructure, as the other files are"
        raise Refused(text, code=USAGE)
    for name, spec in found.infrastructure.items():
        _check_server(name, spec)
    for name, spec in found.apps.items():
        _check_app(name, spec, found)
    return found


def _check_server(name: str, spec: Mapping[str, Any]) -> None:
    from flowmesh.definitions.editor.applications import OUTPUTS

    if spec.get("kind") not in OUTPUTS:
        raise Refused(f"Infrastructure {name}: kind is one of {', '.join(OUTPUTS)}", code=USAGE)
    if spec["kind"] == "bucket" and not spec.get("external"):
        text = f"Infrastructure {name}: a bucket needs `external` on this machine"
        raise Refused(text, code=USAGE)


def _check_app(name: str, spec: Mapping[str, Any], declared: Declared) -> None:
    if not (spec.get("source") or {}).get("document"):
        text = f"App {name} has an image only; this machine runs the `source` of an App"
        raise Refused(text, code=USAGE)
    for each in spec.get("infrastructure") or ():
        if each not in declared.infrastructure:
            raise Refused(f"App {name}: there is no Infrastructure {each}", code=USAGE)


@asynccontextmanager
async def started(
    declared: Declared | None, how: "Loading", folder: Path
) -> AsyncIterator[dict[Path, "Loading"]]:
    """Run the servers during the block; return the document of each App and how it is loaded."""
    if declared is None:
        yield {}
        return
    async with AsyncExitStack() as stack:
        known = await _variables(declared, how.environment, folder, stack)
        found = {}
        for name, spec in declared.apps.items():
            path = folder / "apps" / name / "app.yaml"
            for part, text in {
                **(spec["source"].get("files") or {}),
                path.name: spec["source"]["document"],
            }.items():
                _write(path.parent, part, text)
            injected = {
                variable: value
                for each in spec.get("infrastructure") or ()
                for variable, value in known[each].items()
            }
            environment = {**(spec.get("env") or {}), **injected, **how.environment}
            found[path] = replace(how, environment=environment)
        yield found


def _write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise Refused(f"the file {name!r} of an App is outside of its folder", code=USAGE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


async def _variables(
    declared: Declared, environment: Mapping[str, str], folder: Path, stack: AsyncExitStack
) -> dict[str, dict[str, str]]:
    """Start what is not external; return the variables of each Infrastructure."""
    from flowmesh.definitions.editor.applications import variables_of
    from flowmesh.embedded import EmbeddedServers

    own = {name: spec for name, spec in declared.infrastructure.items() if not spec.get("external")}
    kinds = {str(spec["kind"]) for spec in own.values()}
    servers = await stack.enter_async_context(EmbeddedServers(folder, only=kinds))
    found: dict[str, dict[str, str]] = {}
    for number, (name, spec) in enumerate(declared.infrastructure.items()):
        names = variables_of(name, spec["kind"])
        if name in own:
            found[name] = {names["url"]: await _address(servers, spec["kind"], name, number)}
            continue
        found[name] = {each: environment.get(each, "") for each in names.values()}
        if missing := [each for each, value in found[name].items() if not value]:
            text = f"Infrastructure {name} is external: set {', '.join(missing)}"
            raise Refused(text, code=USAGE)
    return found


async def _address(servers: "EmbeddedServers", kind: str, name: str, number: int) -> str:
    """Return the address of a server; of PostgreSQL and Redis, of a database of its own."""
    if kind == "postgres":
        return await servers.database(name)
    return f"{servers.redis}?db={number}" if kind == "redis" else servers.nats
