"""Applications to begin with."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "skeletons"


def rendered(template: str, name: str) -> str:
    """Return the text of an application, from `api`, `proxy` or `static`."""
    return (_FOLDER / f"{template}.yaml").read_text(encoding="utf-8").replace("{name}", name)
