"""Documents of applications: findings with their places, expansion, wiring."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import Checked, check

SERVER = "modules:\n  - {name: web, type: http.server, config: {address: ':0'}}\n"


def checked(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Checked:
    path = folder / "app.yaml"
    path.write_text(text)
    return check(path, Loading(environment=environment or {}))


def codes(found: Checked) -> list[tuple[str, int]]:
    return [(each.code, each.line) for each in found.problems]


@pytest.mark.feature("S1-03")
@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("modules:\n  - {name: a, type: htp.server}\n", "MODULE_TYPE_UNKNOWN", 2),
        ("modules:\n  - {name: a, type: platform.context}\n", "MODULE_TYPE_UNKNOWN", 2),
        (SERVER + "  - {name: web, type: http.router}\n", "APP_NAME_TAKEN", 3),
        (SERVER + "  - {name: r, type: http.router, dependsOn: [r]}\n", "WIRING_CYCLE", 3),
        (SERVER + "  - {name: r, type: http.router, dependsOn: [wep]}\n", "SERVICE_UNKNOWN", 3),
        (SERVER + "workflows: {htp: {}}\n", "APP_KIND_UNKNOWN", 3),
        (SERVER + "  - {name: a/b, type: http.router}\n", "APP_INVALID", 3),
        (SERVER + "  - {name: d, type: database.workflow}\n", "APP_CONFIG_INVALID", 3),
        (
            SERVER + "  - {name: p, type: persistence.store, config: {database: web}}\n",
            "SERVICE_KIND",
            3,
        ),
    ],
)
def test_mistakes_are_reported_with_their_line(
    tmp_path: Path, text: str, code: str, line: int
) -> None:
    """Every mistake has its code and its line."""
    found = checked(tmp_path, text)
    assert not found.valid
    assert (code, line) in codes(found)


@pytest.mark.feature("S1-02")
def test_missing_names_of_the_environment_are_listed_at_once(tmp_path: Path) -> None:
    """Defaults are used, and every name without a value is reported."""
    text = SERVER.replace("':0'", "':${PORT:-8080}'") + (
        "  - {name: a, type: auth.jwt, config: {secret: '${A}', issuer: '${B}'}}\n"
    )
    found = checked(tmp_path, text)
    assert [each.message.split(";")[0] for each in found.problems] == [
        "the environment has no A",
        "the environment has no B",
    ]
    web = found.document.module("web")
    assert web is not None
    assert web.config["address"] == ":8080"


@pytest.mark.feature("S1-07")
def test_two_candidates_without_a_name_are_an_error(tmp_path: Path) -> None:
    """The error names the candidates."""
    text = SERVER + (
        "  - {name: web2, type: http.server, config: {address: ':0'}}\n"
        "  - {name: r, type: http.router}\n"
    )
    found = checked(tmp_path, text)
    assert "several modules offer Server: web, web2" in found.problems[0].message
