"""The manifest of a plugin: kind, versions, tasks, permissions and the schema of its settings."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, Violation, WrongState
from flowmesh.plugins import limits
from flowmesh.schemas.compiling import compiled, with_defaults
from flowmesh.tasktypes import TASK_TYPES

Name = Annotated[str, Meta(pattern=r"^[a-z](-?[a-z0-9])*$", max_length=limits.NAME_CHARACTERS_MAX)]
Version = Annotated[str, Meta(pattern=r"^\d{1,5}\.\d{1,5}\.\d{1,5}$")]
TaskTypeName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,127}$")]
_HANDLER = r"[a-z_][a-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*"
Handler = Annotated[str, Meta(pattern=f"^{_HANDLER}$", max_length=200)]
LibraryName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
Kind = Literal["task", "connector", "module-type", "format", "transform", "login", "panel"]
KINDS: Final = get_args(Kind)
# Kinds with handlers of tasks, which run as agents.
AGENTS: Final = ("task", "connector")
PanelPlace = Literal["execution", "workflow"]
PanelRead = Literal["execution", "history", "state", "workflow"]
_PAGE = r"^[a-z_][a-z0-9_]*(/[a-z0-9_]+)*\.html$"
Text = Annotated[str, Meta(max_length=500)]
_BOUND = re.compile(r"(>=|<=|==|>|<)\s*(\d{1,5}(?:\.\d{1,5}){0,2})")
_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ENDPOINT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]{0,252}):(\d{1,5})")
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PORTS: Final = {"http": 80, "https": 443, "smtp": 25, "smtps": 465}


class Permissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rights that a plugin asks for; `{name}` stands for a value of its configuration."""

    # Endpoints as `host:port`, or a URL of the configuration.
    connect: tuple[Text, ...] = ()
    # Names of secrets that tasks may hand to it.
    secrets: tuple[Text, ...] = ()
    # Reads of a panel, which the console makes with the rights of its user.
    read: tuple[PanelRead, ...] = ()

    def __len__(self) -> int:
        return len(self.connect) + len(self.secrets) + len(self.read)


class Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A page of a plugin that the console shows in a frame behind walls."""

    title: Annotated[str, Meta(min_length=1, max_length=60)]
    # An HTML file of the wheel, which has its scripts and styles in it.
    page: Annotated[str, Meta(pattern=_PAGE, max_length=150)]
    # The pages of the console that show it.
    places: Annotated[tuple[PanelPlace, ...], Meta(min_length=1, max_length=2)]


class Connection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The connection that handlers of a connector share; its process keeps it open."""

    # Takes the credential of the task, or an empty text; returns the connection.
    open: Handler
    # Takes a connection that failed or is no longer used.
    close: Annotated[str, Meta(pattern=f"^({_HANDLER})?$", max_length=200)] = ""


class Format(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reader of definitions; it runs in a process that can only compute."""

    # Takes a text; returns a native document, or a list of them.
    reader: Handler


class Computation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A function that runs in a process that can only compute."""

    # Takes the input of a task, and returns its output; or takes the claims of a login, and
    # returns an object of further ones.
    function: Handler


class ModuleType(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A type of modules of applications, which run in a confined process."""

    # Takes the input of a call and the module; returns an object.
    function: Handler
    # JSON Schema of the `config` of a module.
    config: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "object"})


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The manifest of a plugin."""

    name: Name
    version: Version
    kind: Kind
    summary: Annotated[str, Meta(min_length=1, max_length=200)]
    # Versions of Flowmesh, as `>=0.1,<2`; empty is all.
    flowmesh: Text = ""
    # Handlers as `module:function` by task type.
    tasks: dict[TaskTypeName, Handler] = msgspec.field(default_factory=dict)
    connection: Connection | None = None
    module: ModuleType | None = None
    format: Format | None = None
    transform: Computation | None = None
    login: Computation | None = None
    panel: Panel | None = None
    # A function without parameters that raises if the plugin cannot work.
    self_test: Annotated[str, Meta(pattern=f"^({_HANDLER})?$", max_length=200)] = ""
    # Distributions of Python sources that its wheel bundles.
    libraries: Annotated[tuple[LibraryName, ...], Meta(max_length=limits.LIBRARIES_MAX)] = ()
    permissions: Permissions = Permissions()
    # JSON Schema of the configuration.
    configuration: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "object"})

    @property
    def has_configuration(self) -> bool:
        """True if an installation chooses values."""
        return self.configuration != {"type": "object"}

    @property
    def package(self) -> str:
        """The only package of the plugin."""
        return self.name.replace("-", "_")

    @property
    def wheel(self) -> str:
        """The name of the wheel."""
        return f"{self.package}-{self.version}-py3-none-any.whl"

    @property
    def computes(self) -> str:
        """The function that runs in a confined process; empty without one."""
        if self.format:
            return self.format.reader
        found = self.transform or self.login or self.module
        return found.function if found else ""

    @property
    def handlers(self) -> list[str]:
        """All functions that it names."""
        found = [*self.tasks.values(), self.self_test, self.computes]
        if self.connection:
            found += [self.connection.open, self.connection.close]
        return list(filter(None, found))


def manifest_of(content: Mapping[str, Any] | bytes) -> Manifest:
    """Return a manifest. Raises PLUGIN_INVALID."""
    try:
        given = msgspec.json.decode(content) if isinstance(content, bytes) else dict(content)
        check_kind(given.get("kind") if isinstance(given, dict) else None)
        found = msgspec.convert(given, Manifest)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise invalid("manifest", str(error)) from None
    _check_parts(found)
    if builtin := sorted(found.tasks.keys() & TASK_TYPES.keys()):
        raise invalid("manifest.tasks", f"{builtin[0]} is a task type of Flowmesh itself")
    for each in found.handlers:
        if each.partition(":")[0].partition(".")[0] != found.package:
            raise invalid("manifest", f"{each} is not in the package {found.package}")
    if len(found.permissions) > limits.PERMISSIONS_MAX:
        raise invalid("manifest.permissions", f"more than {limits.PERMISSIONS_MAX}")
    _bounds(found.flowmesh)
    _check_schema("manifest.configuration", found.configuration)
    if found.module:
        _check_schema("manifest.module.config", found.module.config)
    return found


def _check_schema(place: str, schema: dict[str, Any]) -> None:
    try:
        compiled(schema)
    except (Invalid, ValueError) as error:
        raise invalid(place, str(error)) from None


def check_kind(kind: object) -> None:
    """Raise PLUGIN_INVALID for a kind that this version does not run."""
    if isinstance(kind, str) and kind not in KINDS:
        text = f"{kind[:80]!r} is not supported; plugins of this version are of: {', '.join(KINDS)}"
        raise invalid("manifest.kind", text)


def _check_parts(found: Manifest) -> None:
    """Raise PLUGIN_INVALID unless a manifest has the parts of its kind, and no others."""
    asked = found.permissions
    parts = {
        "tasks": bool(found.tasks),
        "connection": found.connection is not None,
        "module": found.module is not None,
        "format": found.format is not None,
        "transform": found.transform is not None,
        "login": found.login is not None,
        "panel": found.panel is not None,
        "self_test": bool(found.self_test),
        "libraries": bool(found.libraries),
        "permissions.connect": bool(asked.connect),
        "permissions.secrets": bool(asked.secrets),
        "permissions.read": bool(asked.read),
        "configuration": found.has_configuration,
    }
    needed, admitted = _PARTS[found.kind]
    for name, present in parts.items():
        if name in needed and not present:
            raise invalid(f"manifest.{name}", f"a plugin of the kind {found.kind} has it")
        if present and name not in (*needed, *admitted):
            kinds = [kind for kind, (its, other) in _PARTS.items() if name in (*its, *other)]
            text = f"a plugin of the kind {found.kind} has none, only {', '.join(kinds)}"
            raise invalid(f"manifest.{name}", text)
    if len(found.tasks) > limits.TASKS_MAX:
        raise invalid("manifest.tasks", f"a plugin has 1 to {limits.TASKS_MAX} task types")
    if found.panel and found.panel.page.partition("/")[0] != found.package:
        raise invalid("manifest.panel.page", f"is not in the package {found.package}")


# The parts that a manifest of each kind has, and those that it may have.
_COMPUTES = ("self_test", "configuration")
_OF_AGENTS = (*_COMPUTES, "libraries", "permissions.connect", "permissions.secrets")
_PARTS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "task": (("tasks",), _OF_AGENTS),
    "connector": (("tasks", "connection"), _OF_AGENTS),
    "module-type": (("module",), (*_COMPUTES, "permissions.connect")),
    "format": (("format",), _COMPUTES),
    "transform": (("transform",), _COMPUTES),
    "login": (("login",), _COMPUTES),
    "panel": (("panel",), ("permissions.read",)),
}


def check_runs_on(manifest: Manifest, version: str) -> None:
    """Raise PLUGIN_UNSUPPORTED if this version of Flowmesh is none of the manifest."""
    own = numbers(version)
    for sign, bound in _bounds(manifest.flowmesh):
        order = (own > bound) - (own < bound)
        if order not in _ORDERS[sign]:
            text = f"{manifest.name} {manifest.version} is for Flowmesh {manifest.flowmesh}"
            raise WrongState("PLUGIN_UNSUPPORTED", f"{text}, and this one is {version}")


_ORDERS: Final[Mapping[str, tuple[int, ...]]] = {
    ">=": (0, 1),
    "<=": (0, -1),
    "==": (0,),
    ">": (1,),
    "<": (-1,),
}


def numbers(version: str) -> tuple[int, int, int]:
    """Return a version as three numbers; what follows the digits does not count."""
    found = [int(each) for each in re.findall(r"\d+", version.partition("+")[0])[:3]]
    first, second, third = (*found, 0, 0, 0)[:3]
    return first, second, third


def _bounds(text: str) -> list[tuple[str, tuple[int, int, int]]]:
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        match = _BOUND.fullmatch(part)
        if match is None:
            raise invalid("manifest.flowmesh", f"{part!r} is no bound such as >=0.1")
        found.append((match[1], numbers(match[2])))
    return found


def configured(manifest: Manifest, content: str) -> dict[str, Json]:
    """Return the configuration in JSON with the defaults of its schema. Raises PLUGIN_INVALID."""
    if len(content.encode()) > limits.CONFIGURATION_BYTES_MAX:
        raise invalid("configuration", f"more than {limits.CONFIGURATION_BYTES_MAX >> 10} KiB")
    try:
        given = msgspec.json.decode(content or "{}", type=dict[str, Json])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise invalid("configuration", str(error)) from None
    found = with_defaults(manifest.configuration, given)
    for problem in compiled(manifest.configuration).iter_errors(found):
        place = ".".join(("configuration", *map(str, problem.instance_path)))
        raise invalid(place, problem.message)
    return found


def granted(manifest: Manifest, configuration: Mapping[str, Json]) -> Permissions:
    """Return the permissions with the values of a configuration. Raises PLUGIN_INVALID."""
    asked = manifest.permissions
    return Permissions(
        connect=tuple(map(_endpoint, _all_filled(asked.connect, configuration))),
        secrets=tuple(map(_secret, _all_filled(asked.secrets, configuration))),
        read=asked.read,
    )


def words_of(permissions: Permissions) -> list[str]:
    """Return permissions as the words that a caller accepts."""
    connect = [f"connect {each}" for each in permissions.connect]
    reads = [f"read {each}" for each in permissions.read]
    return sorted({*connect, *reads, *(f"secret {each}" for each in permissions.secrets)})


def _all_filled(texts: Iterable[str], configuration: Mapping[str, Json]) -> list[str]:
    """Return permissions with their values; `{key}` of a list is one for each of its values."""
    found = []
    for text in texts:
        match = _PLACE.fullmatch(text)
        several = configuration.get(match[1]) if match else None
        if match and isinstance(several, list):
            found += [_filled(text, {match[1]: each}) for each in several]
        else:
            found.append(_filled(text, configuration))
    if len(found) > limits.PERMISSIONS_MAX:
        raise invalid("configuration", f"asks for more than {limits.PERMISSIONS_MAX} permissions")
    return found


def _filled(text: str, configuration: Mapping[str, Json]) -> str:
    def value(match: re.Match[str]) -> str:
        found = configuration.get(match[1])
        if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
            raise invalid(f"configuration.{match[1]}", "the permissions need it as text or number")
        return str(found)

    return _PLACE.sub(value, text)


def _endpoint(text: str) -> str:
    if "://" in text:
        try:
            parts = urlsplit(text)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            raise invalid("permissions.connect", f"{text[:200]!r} is no URL") from None
        host = parts.hostname or ""
        text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= 65_535:
        raise invalid("permissions.connect", f"{text[:200]!r} is not host:port")
    return text.lower()


def _secret(text: str) -> str:
    if not _SECRET.fullmatch(text):
        raise invalid("permissions.secrets", f"{text[:200]!r} is no name of a secret")
    return text


def invalid(place: str, problem: str) -> Invalid:
    """Return the refusal of a part of a plugin."""
    found = Violation(place, problem, "PLUGIN_INVALID")
    return Invalid("PLUGIN_INVALID", f"{place}: {problem}", violations=(found,))
