"""Wheels of plugins: what is built is read again, and hostile archives are refused."""

import stat
from pathlib import Path

import pytest

from flowmesh.errors import FlowmeshError, Invalid
from flowmesh.plugins import limits, wheels
from tests.unit.plugins.projects import changed, project, wheel_of

INFO = "chat_note-0.1.0.dist-info/flowmesh-plugin.json"


def test_a_built_wheel_is_read_again(tmp_path: Path) -> None:
    """The wheel has the modules of the package, and equal projects have equal wheels."""
    folder = project(tmp_path)
    manifest, content = wheels.build(folder)
    found = wheels.read(content)
    assert found.manifest == manifest
    assert sorted(found.modules) == ["chat_note/__init__.py", "chat_note/tasks.py"]
    assert found.digest == wheels.digest_of(content)
    assert wheels.build(folder)[1] == content


def test_libraries_are_bundled(tmp_path: Path) -> None:
    """Their sources and licence are below the package; compiled and absent ones are refused."""
    folder = project(tmp_path)
    manifest_file = folder / "plugin.toml"
    text = manifest_file.read_text()
    manifest_file.write_text(f'libraries = ["pydyf"]\n{text}')
    _, content = wheels.build(folder)
    bundled = {each.partition("/_libraries/")[2] for each in wheels.read(content).modules}
    assert "pydyf/__init__.py" in bundled
    assert any(each.endswith(".LICENSE") for each in bundled)
    for name, problem in (("msgspec", "has compiled parts"), ("nowhere", "pip install nowhere")):
        manifest_file.write_text(f'libraries = ["{name}"]\n{text}')
        with pytest.raises(FlowmeshError, match=problem):
            wheels.build(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.py",
        "chat_note/../../outside.py",
        "/etc/outside.py",
        "chat_note\\..\\outside.py",
        "C:/outside.py",
        "chat_note//double.py",
        "chat_note/.hidden.py",
        "chat_note/" + "long/" * 40 + "deep.py",
    ],
)
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    """Every name in the archive is a plain path below it."""
    hostile = changed(wheel_of(tmp_path), {name: b"x = 1\n"})
    with pytest.raises(Invalid, match="is no path below the wheel") as caught:
        wheels.read(hostile)
    assert caught.value.reason == "PLUGIN_INVALID"


def test_a_link_is_refused(tmp_path: Path) -> None:
    """An archive has files only."""
    files = {"chat_note/link.py": b"/etc/passwd"}
    hostile = changed(wheel_of(tmp_path), files, mode=stat.S_IFLNK | 0o777)
    with pytest.raises(Invalid, match="is a link or a device"):
        wheels.read(hostile)


@pytest.mark.parametrize("name", ["flowmesh/evil.py", "other/__init__.py", "sitecustomize.py"])
def test_a_module_of_another_package_is_refused(tmp_path: Path, name: str) -> None:
    """A plugin replaces no module of others."""
    with pytest.raises(Invalid, match="is neither in chat_note nor in"):
        wheels.read(changed(wheel_of(tmp_path), {name: b"x = 1\n"}))


def test_a_compiled_part_is_refused(tmp_path: Path) -> None:
    """A plugin is Python sources."""
    with pytest.raises(Invalid, match="compiled parts are refused"):
        wheels.read(changed(wheel_of(tmp_path), {"chat_note/fast.so": b"\x7fELF\xff"}))


def test_an_archive_that_grows_is_refused(tmp_path: Path) -> None:
    """A small archive of a large file is refused by the bytes that come out of it."""
    big = b" " * (limits.FILES_BYTES_MAX + 1)
    with pytest.raises(FlowmeshError, match="KiB"):
        wheels.read(changed(wheel_of(tmp_path), {"chat_note/big.py": big}))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    """The number of files has a bound."""
    files = {f"chat_note/m{number}.py": b"" for number in range(limits.FILES_MAX)}
    with pytest.raises(Invalid, match=f"more than {limits.FILES_MAX} files"):
        wheels.read(changed(wheel_of(tmp_path), files))


def test_a_large_wheel_is_refused() -> None:
    """Before it is opened."""
    with pytest.raises(Invalid, match="more than 512 KiB"):
        wheels.read(bytes(limits.WHEEL_BYTES_MAX + 1))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive at all"])
def test_something_else_is_no_wheel(content: bytes) -> None:
    """Bytes of any other form are refused."""
    with pytest.raises(Invalid, match="is no archive"):
        wheels.read(content)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{}", "missing required field"),
        (b"[1]", "Expected `object`"),
        (b'{"name": "chat-note", "owner": 1}', "unknown field"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_place(
    tmp_path: Path, text: bytes, problem: str
) -> None:
    """Missing, unknown and wrong members are named."""
    with pytest.raises(Invalid, match=f"manifest: .*{problem}"):
        wheels.read(changed(wheel_of(tmp_path), {INFO: text}))
