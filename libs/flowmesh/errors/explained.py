"""The pages of errors: a code explained at length, with a wrong example and a right one."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_FILES = ("texts", "graphs", "values", "lint")


@dataclass(frozen=True, slots=True)
class Explanation:
    """`wrong` is a source with the problem, `right` one without; either may be empty."""

    text: str
    wrong: str = ""
    right: str = ""


@cache
def explanations() -> dict[str, Explanation]:
    """Return all explanations by code."""
    folder = files("flowmesh.errors").joinpath("explanations")
    table = {
        code: row
        for name in _FILES
        for code, row in tomllib.loads(folder.joinpath(f"{name}.toml").read_text()).items()
    }
    return {
        code: Explanation(
            text=row["text"].strip(),
            wrong=row.get("wrong", "").strip("\n"),
            right=row.get("right", "").strip("\n"),
        )
        for code, row in table.items()
    }


def explanation_of(code: str) -> Explanation | None:
    return explanations().get(code)
