"""The history: a commit that adds to the product changes a test too."""

import subprocess
from pathlib import Path

import pytest

from tools.gates import history


def commit(folder: Path, subject: str, **files: int) -> None:
    """Add lines to files, whose names have `__` in place of slashes, and commit them."""
    for name, lines in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write("x = 1\n" * lines)
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    for arguments in (("add", "."), (*author, "commit", "-q", "-m", subject)):
        subprocess.run(("git", *arguments), cwd=folder, check=True)


@pytest.mark.feature("S0-11", "S0-108")
def test_a_feature_without_its_test_is_found(tmp_path: Path) -> None:
    """In a commit that adds enough; tests alone and small repairs are no feature."""
    subprocess.run(("git", "init", "-q"), cwd=tmp_path, check=True)
    commit(tmp_path, "engine: add a feature", libs__engine=50, tests__test_engine=20)
    commit(tmp_path, "engine: add another", libs__engine=50)
    commit(tmp_path, "engine: mend a line", libs__engine=2)
    commit(tmp_path, "tests: add a test", tests__test_engine=90)
    found = history.commits(["HEAD"], tmp_path)
    assert [(each.subject.partition(" ")[2], each.tested) for each in found] == [
        ("engine: add another", False),
        ("engine: add a feature", True),
    ]


@pytest.mark.feature("S0-11", "S0-108")
def test_too_many_features_without_a_test_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of ten is bearable, two are not."""
    tested = [history.Commit("with", 50, tested=True)] * 9
    alone = history.Commit("abc engine: add a feature", 50)
    monkeypatch.setattr(history, "commits", lambda *_: [*tested, alone])
    assert history.main([]) == 0
    assert "no test: abc engine: add a feature (+50)" in capsys.readouterr().out
    monkeypatch.setattr(history, "commits", lambda *_: [*tested[1:], alone, alone])
    assert history.main([]) == 1
