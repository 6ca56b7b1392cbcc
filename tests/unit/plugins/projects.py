"""Small projects of plugins, and archives that no builder makes."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from flowmesh.plugins import wheels
from flowmesh.plugins.project import write_project


def project(folder: Path, name: str = "chat-note") -> Path:
    write_project(folder / name, name)
    return folder / name


def wheel_of(folder: Path, name: str = "chat-note") -> bytes:
    return wheels.build(project(folder, name))[1]


def changed(wheel: bytes, files: Mapping[str, bytes], *, mode: int = 0o644) -> bytes:
    """Return a wheel with further or replaced files of this mode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel)) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            if entry.filename not in files:
                new.writestr(entry, old.read(entry))
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            new.writestr(entry, content)
    return buffer.getvalue()
