"""The version, the release check and the site of the documentation."""

import re
import subprocess
import sys

import pytest

from tests.tidy import sources
from tools import release_check, site

# What installs by a name from a public index, where nothing of Flowmesh is published.
BY_NAME = re.compile(
    r"""(?:pip|uv|pipx)\ (?:pip\ )?(?:install|add)\s+(?:-\S+\s+)*['"]?flowmesh[\w-]*(?!\S*\.whl)
    |['"`]flowmesh(?:-\w+)?\[
    |npm\ (?:i|install|add)\s+@?flowmesh
    |cargo\ add\s+flowmesh""",
    re.VERBOSE,
)
CHANGELOG = "# Changelog\n\n## 0.2.0 (2026-11-26)\n\n- A.\n\n## 0.1.0 (2026-01-01)\n"


def test_the_running_code_reports_the_version_of_the_project() -> None:
    """pyproject.toml and the constant of the code agree."""
    assert release_check.source_version() == release_check.project_version()


def test_a_release_of_one_version_everywhere_has_no_problem() -> None:
    """The same version three times, with a date."""
    assert list(release_check.version_problems("0.2.0", "0.2.0", CHANGELOG)) == []


@pytest.mark.parametrize(
    ("source", "changelog", "problem"),
    [
        ("0.1.0", CHANGELOG, "is 0.1.0, pyproject.toml has 0.2.0"),
        ("0.2.0", CHANGELOG.replace("## 0.2.0 (2026-11-26)\n", ""), "CHANGELOG.md is 0.1.0"),
        ("0.2.0", CHANGELOG.replace(" (2026-11-26)", ""), "has no date"),
        ("0.2.0", "# Changelog\n", "CHANGELOG.md is nothing"),
    ],
)
def test_a_place_with_another_version_is_named(source: str, changelog: str, problem: str) -> None:
    """Each of the three places is named with the version it has."""
    (found,) = release_check.version_problems("0.2.0", source, changelog)
    assert problem in found


def test_the_site_has_every_page_and_no_broken_link() -> None:
    """A strict build: a link or an anchor that leads nowhere fails it."""
    done = subprocess.run(
        (sys.executable, "-m", "tools.site"),
        cwd=sources.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = [name for name in sources.tracked() if name.startswith("docs/") and ".md" in name]
    for page in pages:
        built = page.replace("README.md", "index.html").replace(".md", ".html")
        assert (site.SITE / built).is_file(), page


@pytest.mark.parametrize(
    "text",
    [
        "pip install flowmesh",
        "pip install --upgrade 'flowmesh[dev]'",
        "pip install flowmesh-cli",
        "needs `flowmesh[otel]`",
        "npm install @flowmesh/client",
        "cargo add flowmesh",
    ],
)
def test_an_installation_by_name_is_found(text: str) -> None:
    """Each form that would install a package of others."""
    assert BY_NAME.search(text)


def test_no_page_or_hint_installs_a_package_of_others() -> None:
    """Pages and hints name a wheel, an archive or a checkout until the packages are published."""
    suffixes = (".md", ".py", ".toml", ".yaml", ".yml", ".sh", ".ts", ".tsx", ".html")
    found = [
        f"{name}: {match.group()}"
        for name in sources.tracked()
        if name.endswith(suffixes) and name != "tests/tidy/contracts/test_release.py"
        for match in BY_NAME.finditer(sources.text(name))
        if not (name == "pyproject.toml" and "flowmesh-suite[" in match.group())
    ]
    assert not found, sources.lines(found)
