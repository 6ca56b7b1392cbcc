"""Loading of applications: files, imports, expansion, and the parts in one form."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowmesh.apps.document.expansion import ExpansionContext, ReadSecret, expand
from flowmesh.apps.document.findings import Findings, SourceFile, SourcePath, refuse
from flowmesh.apps.document.limits import FILES_MAX, SOURCE_BYTES_MAX
from flowmesh.apps.document.model import AppDocument, ModuleSpec
from flowmesh.apps.document.overlay import Overlay
from flowmesh.apps.document.parts import PartsReader
from flowmesh.apps.secrets.sources import SOURCES, SecretSource
from flowmesh.contract.json_value import Json
from flowmesh.definitions.reading.documents import Source, parse
from flowmesh.definitions.reading.yaml_text import Unreadable
from flowmesh.errors import Invalid, TooLarge
from flowmesh.expressions.references import kind_of

# Templates of other programs, whose names are not those of the environment.
_UNEXPANDED = frozenset({"platform", "ui"})
SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """Options of a load."""

    environment: Mapping[str, str]
    overlay: Overlay = field(default_factory=Overlay)
    # Missing values of the environment are errors.
    required: bool = False
    # Checks the values that lead out of the document, and returns those to use instead. Without
    # it, files outside of the folder of the application are read too.
    confine: Callable[[AppDocument], AppDocument] | None = None


def load(path: Path, how: Loading) -> AppDocument:
    """Read one application. Raises Invalid if the text cannot be read at all.

    Everything else that is wrong is a finding of the returned document. Secrets are read for a
    start only, and not before everything else in the document is checked.
    """
    findings = Findings()
    files: list[SourceFile] = []
    raws = _files(path, files, findings, confined=how.confine is not None)
    named: list[str] = []

    def unread(_form: str, reference: str) -> None:
        named.append(reference)

    document = _document(path, how, files, raws, findings, unread)
    if not how.required or not named or document.findings.failed:
        return document
    secrets = SecretReader(document.modules)
    document = _document(path, how, files, raws, Findings(), secrets.read)
    return replace(document, secrets=secrets.values)


def _document(
    path: Path,
    how: Loading,
    files: Sequence[SourceFile],
    raws: Sequence[Json],
    findings: Findings,
    secret: ReadSecret,
) -> AppDocument:
    """Return the document with its values expanded and checked."""
    parts = PartsReader(findings)
    within = path.parent.resolve() if how.confine is not None else None
    for number, raw in enumerate(raws):
        at = SourcePath(number)
        if not isinstance(raw, dict):
            message = f"an application is an object with modules, not {kind_of(raw)}"
            findings.error("APP_INVALID", message, at)
            continue
        folder = files[number].folder
        context = ExpansionContext(how.environment, folder, how.required, within, secret)
        raw = how.overlay.applied(raw) if number == 0 else raw
        expanded = {
            key: value if key in _UNEXPANDED else expand(value, at / key, context, findings)
            for key, value in raw.items()
        }
        parts.read(expanded, at)
    document = parts.document(tuple(files), path.stem)
    return how.confine(document) if how.confine is not None else document


class SecretReader:
    """Reads the secrets that texts name, from the modules secrets.* of a checked document."""

    def __init__(self, modules: Sequence[ModuleSpec]) -> None:
        self._modules = modules
        self._sources: dict[str, SecretSource] = {}
        self._read: dict[tuple[str, str], str] = {}

    @property
    def values(self) -> tuple[str, ...]:
        """The secrets that were read."""
        return tuple(self._read.values())

    def read(self, form: str, reference: str) -> str:
        """Return a secret. Raises LookupError, and FlowmeshError for a source that is away."""
        if (form, reference) not in self._read:
            if form not in self._sources:
                self._sources[form] = self._source(form)
            self._read[form, reference] = self._sources[form].read(reference)
        return self._read[form, reference]

    def _source(self, form: str) -> SecretSource:
        kind, make = next((k, make) for k, (f, make) in SOURCES.items() if f == form)
        for module in self._modules:
            if module.type == kind:
                return make(module.name, module.config)
        raise LookupError(f"the application has no module {kind}")


def apps_in(path: Path) -> list[Path]:
    """Return the files of the applications that a path names: a file, a folder, a list file."""
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES)
        if not found:
            text = f"{path} holds no application; files end in {', '.join(SUFFIXES)}"
            raise Invalid("APP_INVALID", text)
        return found
    raw = _parsed(path).documents[0]
    listed = raw.get("applications") if isinstance(raw, dict) else None
    if not isinstance(listed, list):
        return [path]
    return [path.parent / _listed(each, path) for each in listed]


def _listed(item: Json, path: Path) -> str:
    name = item.get("config", item.get("file")) if isinstance(item, dict) else item
    if not isinstance(name, str):
        raise Invalid("APP_INVALID", f"{path}: applications is a list of files")
    return name


def _files(
    path: Path, files: list[SourceFile], findings: Findings, *, confined: bool
) -> list[Json]:
    """Read a file and those that it imports; the first is the application itself."""
    raws: list[Json] = []
    waiting: list[tuple[Path, SourcePath | None]] = [(path, None)]
    while waiting:
        here, named_at = waiting.pop(0)
        resolved = here.resolve()
        if any(each.path.resolve() == resolved for each in files):
            continue
        if len(files) >= FILES_MAX:
            raise TooLarge("APP_TOO_LARGE", f"an application has at most {FILES_MAX} files")
        if confined and not resolved.is_relative_to(path.parent.resolve()):
            message = f"{here} is outside of the files of the release"
            findings.error("APP_PATH_FOREIGN", message, named_at or SourcePath())
            continue
        if named_at is not None and not here.is_file():
            findings.error("APP_INVALID", f"there is no file {here}", named_at)
            continue
        source = _parsed(here)
        files.append(SourceFile(here, source))
        raw = source.documents[0]
        raws.append(raw)
        number = len(files) - 1
        if len(source.documents) > 1:
            message = "an application file holds one document; this one has several"
            findings.error("APP_INVALID", message, SourcePath(number))
        imports = raw.get("imports") if isinstance(raw, dict) else None
        for index, each in enumerate(imports if isinstance(imports, list) else ()):
            name = each.get("path") if isinstance(each, dict) else each
            at = SourcePath(number, ("imports", index))
            if isinstance(name, str):
                waiting.append((here.parent / name, at))
            else:
                findings.error("APP_INVALID", "an import is the path of a file", at)
    return raws


def _parsed(path: Path) -> Source:
    try:
        if path.stat().st_size > SOURCE_BYTES_MAX:
            limit = SOURCE_BYTES_MAX // 1024**2
            raise TooLarge("APP_TOO_LARGE", f"{path}: an application has at most {limit} MiB")
        raw = path.read_bytes()
    except OSError as error:
        raise Invalid("APP_INVALID", f"{path} cannot be read: {error.strerror}") from None
    kind = "application/json" if path.suffix == ".json" else "application/yaml"
    try:
        return parse(raw, kind)
    except Unreadable as error:
        refuse([error.problem], [SourceFile(path, Source("", ()))])
        raise
