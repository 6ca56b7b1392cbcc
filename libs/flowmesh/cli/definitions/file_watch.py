"""Doing something again whenever files change."""

from collections.abc import Callable, Iterable
from pathlib import Path

from flowmesh.cli import exit_codes, output
from flowmesh.cli.definitions.sources import SUFFIXES
from flowmesh.cli.refusals import Refused

SETTLED_MS = 100


def whenever_changed(names: Iterable[Path], work: Callable[[], int]) -> int:
    """Does the work now and after each change of a file or folder, until Ctrl-C."""
    from watchfiles import watch

    paths = [Path(name) for name in names]
    for path in paths:
        if not path.exists():
            raise Refused(f"there is no file {path} to watch", code=exit_codes.USAGE)
    named = {path.resolve() for path in paths if path.is_file()}
    folders = {path.resolve() for path in paths if path.is_dir()}

    def counts(_change: object, changed: str) -> bool:
        path = Path(changed)
        inside = any(folder in path.parents for folder in folders)
        return path in named or (inside and path.suffix in SUFFIXES)

    work()
    # Editors replace files, so it is their folders that are watched.
    watched = folders | {path.parent for path in named}
    for _ in watch(
        *watched,
        watch_filter=counts,
        step=SETTLED_MS,
        debounce=4 * SETTLED_MS,
        raise_interrupt=False,
    ):
        output.line()
        work()
    return exit_codes.DONE
