"""Repetition of an action when files change."""

from collections.abc import Callable, Iterable
from pathlib import Path

from flowmesh.cli import exit_codes, output
from flowmesh.cli.definitions.sources import SUFFIXES
from flowmesh.cli.refusals import Refused

SETTLED_MS = 100


def repeat_on_change(names: Iterable[Path], action: Callable[[], int]) -> int:
    """Run the action now and after each change of a file or folder, until Ctrl-C."""
    from watchfiles import watch

    paths = [Path(name) for name in names]
    for path in paths:
        if not path.exists():
            raise Refused(f"there is no file {path} to watch", code=exit_codes.USAGE)
    named = {path.resolve() for path in paths if path.is_file()}
    folders = {path.resolve() for path in paths if path.is_dir()}

    def is_relevant(_change: object, changed: str) -> bool:
        path = Path(changed)
        inside = any(folder in path.parents for folder in folders)
        return path in named or (inside and path.suffix in SUFFIXES)

    action()
    # Watch the folders of files, because editors replace files.
    watched = folders | {path.parent for path in named}
    for _ in watch(
        *watched,
        watch_filter=is_relevant,
        step=SETTLED_MS,
        debounce=4 * SETTLED_MS,
        raise_interrupt=False,
    ):
        output.line()
        action()
    return exit_codes.DONE
