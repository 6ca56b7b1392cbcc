"""Messages for packages of an extra that are not installed."""

import json
from pathlib import Path

import pytest

from flowmesh.extras import DISTRIBUTION, ExtraMissing, extra_of, install_command, needed_by

PIP = "pip install"
WHEEL = "https://packages.example/flowmesh_suite-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("keyring", "keyring"),
        ("opentelemetry.sdk.trace", "otel"),
        ("_quickjs", "offline"),
        ("", ""),
    ],
)
def test_a_module_has_an_extra(module: str, extra: str) -> None:
    """The top-level name counts; other modules have none."""
    assert extra_of(module) == extra


def installed(folder: Path, url: str) -> None:
    """Install the distribution as pip records it; without a URL it came from an index."""
    info = folder / "flowmesh_suite-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flowmesh-suite\nVersion: 1.0\n")
    if url:
        (info / "direct_url.json").write_text(json.dumps({"url": url}))


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("", f"{PIP} '{DISTRIBUTION}[saml]'"),
        (WHEEL, f"{PIP} '{DISTRIBUTION}[saml] @ {WHEEL}'"),
        ("file:///srv/my%20wheels/f.whl", f"{PIP} '/srv/my wheels/f.whl[saml]'"),
    ],
)
def test_the_command_names_the_installed_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, command: str
) -> None:
    """From an index, from a URL, and from a file."""
    installed(tmp_path, url)
    monkeypatch.syspath_prepend(tmp_path)
    assert install_command("saml") == command


def test_a_checkout_has_all_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no installed distribution."""
    monkeypatch.setattr("sys.path", [])
    assert install_command("saml") == "make setup"


@pytest.mark.parametrize(("extra", "named"), [("", "saml"), ("server", "server")])
def test_a_missing_module_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str, named: str
) -> None:
    """That of the module in the chain of the error, or the one that the caller names."""
    installed(tmp_path, "")
    monkeypatch.syspath_prepend(tmp_path)
    error = ImportError("the verifier cannot be imported")
    error.__cause__ = ModuleNotFoundError(name="onelogin.saml2")
    with pytest.raises(ExtraMissing) as raised, needed_by("`flowmesh serve`", extra):
        raise error
    text = f"{PIP} '{DISTRIBUTION}[{named}]'"
    assert str(raised.value) == f"`flowmesh serve` needs packages that are not installed: {text}"


@pytest.mark.parametrize(
    "error", [ImportError("no name"), ModuleNotFoundError("m", name="another"), ValueError("v")]
)
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    """A module of no extra, and what is no missing module."""
    with pytest.raises(type(error), match=str(error)) as raised, needed_by("a command"):
        raise error
    assert raised.value is error
