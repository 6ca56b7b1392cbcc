"""Completion of files."""

from pathlib import Path

from flowmesh.cli.completion.requests import Request, Suggestions


def files(request: Request) -> Suggestions:
    """Files and folders."""
    return _files(request.incomplete)


def values(request: Request) -> Suggestions:
    """Files after an @."""
    if not request.incomplete.startswith("@"):
        return []
    return [(f"@{name}", "") for name, _ in _files(request.incomplete[1:])]


def _files(incomplete: str) -> Suggestions:
    folder, _, name = incomplete.rpartition("/")
    prefix = f"{folder}/" if "/" in incomplete else ""
    place = Path(prefix or ".").expanduser()
    try:
        found = sorted(each for each in place.iterdir() if each.name.startswith(name))
    except OSError:
        return []
    return [(f"{prefix}{each.name}{'/' if each.is_dir() else ''}", "") for each in found]
