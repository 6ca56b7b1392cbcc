"""Paths of hosted applications: files of the release are read, files of its data are written.

Relative paths of databases and object stores start from the folder for data, which all releases of
an application share; other paths start from the folder of the release.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowmesh.apps.catalogue import DESCRIPTORS
from flowmesh.apps.document.findings import At
from flowmesh.apps.document.model import AppDocument, ModuleSpec

Json = Any

FOREIGN = "APP_PATH_FOREIGN"
_SQLITE = frozenset({"sqlite", "sqlite3"})
_MEMORY = ":memory:"
# Keys of paths that a module writes to.
_WRITTEN: Mapping[str, tuple[str, ...]] = {
    "storage.sqlite": ("dbPath",),
    "storage.local": ("rootDir",),
    "log.collector": ("directory",),
    "messaging.handler": ("watchPath",),
}
# Keys whose texts, at any depth, may be paths of files to read.
_READ = frozenset({"migrations", "schemas", "tls", "source", "outputTargets"})
_PRIVATE = ("allow_private", "allowPrivate")


def confined(document: AppDocument, *, data: Path, private: bool) -> AppDocument:
    """Return the document with the paths of its data; foreign paths become findings."""
    modules = tuple(_module(document, each, data, private) for each in document.modules)
    return replace(document, modules=modules)


def _module(document: AppDocument, spec: ModuleSpec, data: Path, private: bool) -> ModuleSpec:
    at, config = spec.at / "config", dict(spec.config)
    for key in _PRIVATE:
        if config.get(key) is True and not private:
            message = f"{key}: this host allows calls to public addresses only"
            document.findings.error("APP_CONFIG_INVALID", message, at / key)
    written = _WRITTEN.get(spec.type, ())
    for key in written:
        if config.get(key):
            config[key] = _in_data(document, str(config[key]), data, at / key)
    if str(config.get("driver", "")).lower() in _SQLITE:
        config["dsn"] = _in_data(document, str(config.get("dsn") or ""), data, at / "dsn")
    if spec.type == "database.modular":
        config["connections"] = {
            name: _connection(document, each, data, at / "connections" / name)
            for name, each in (config.get("connections") or {}).items()
        }
    for key, text in _read_paths(spec, config, written):
        if _is_foreign(text):
            message = f"{text} is outside of the files of the release; deploy the file with it"
            document.findings.error(FOREIGN, message, at / key)
    return replace(spec, config=config)


def _connection(document: AppDocument, config: Json, data: Path, at: At) -> Json:
    if not isinstance(config, dict) or str(config.get("driver", "")).lower() not in _SQLITE:
        return config
    return {**config, "dsn": _in_data(document, str(config.get("dsn") or ""), data, at / "dsn")}


def _in_data(document: AppDocument, text: str, data: Path, at: At) -> str:
    """Return a path below the folder for data."""
    name = text.removeprefix("file:")
    if not name or name.startswith(_MEMORY):
        return text
    if _is_foreign(name.partition("?")[0]):
        message = f"{text} is outside of the data of the application; write a relative path"
        document.findings.error(FOREIGN, message, at)
        return text
    prefix = "file:" if text.startswith("file:") else ""
    return f"{prefix}{data / name}"


def _read_paths(
    spec: ModuleSpec, config: Mapping[str, Json], written: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Yield key and text of everything that may be the path of a file to read."""
    for field in DESCRIPTORS[spec.type].fields if spec.type in DESCRIPTORS else ():
        value = config.get(field.key)
        if field.kind == "filepath" and isinstance(value, str) and field.key not in written:
            yield field.key, value
    for key in _READ & config.keys():
        for text in _texts(config[key]):
            yield key, text


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        if "\n" not in value:
            yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _is_foreign(text: str) -> bool:
    path = Path(text)
    return path.is_absolute() or ".." in path.parts
