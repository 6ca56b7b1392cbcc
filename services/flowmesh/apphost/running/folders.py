"""The folders of an application: one per release with its files, others that it writes to.

<data folder>/apps/<namespace>/<app>/releases/<number>/app.yaml
<data folder>/apps/<namespace>/<app>/data/
<data folder>/apps/<namespace>/<app>/temporary/
<data folder>/apps/<namespace>/<app>/log
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from flowmesh.apphost.storage.records import Content, Key
from flowmesh.jsontext.integers import is_whole

DOCUMENT = "app.yaml"


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one application."""

    root: Path

    @classmethod
    def of(cls, data_dir: Path, key: Key) -> "Folders":
        namespace, app = key
        return cls(data_dir / "apps" / namespace.replace(":", "%3A") / app)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def temporary(self) -> Path:
        """The folder for files that end with their process."""
        return self.root / "temporary"

    @property
    def log(self) -> Path:
        return self.root / "log"

    def release(self, number: int) -> Path:
        return self.root / "releases" / str(number)

    def write(self, number: int, content: Content) -> Path:
        """Write the files of a release; return the path of its document."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = self.release(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, data in content.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        document = folder / DOCUMENT
        document.write_text(content.document, encoding="utf-8")
        _open(folder)
        return document

    def forget(self, kept: set[int]) -> None:
        """Remove the folders of all other releases."""
        folder = self.root / "releases"
        for each in folder.iterdir() if folder.is_dir() else ():
            if not (is_whole(each.name) and int(each.name) in kept):
                shutil.rmtree(each, ignore_errors=True)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.root, ignore_errors=True)


def _open(folder: Path) -> None:
    """Let the user of the application read a release; a folder above is closed to all others."""
    folder.chmod(0o755)
    for each in folder.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o644)
