"""Builds the documentation as a web site in build/site, with every link checked.

The sources keep their places, so that links between pages, examples and tests hold; the
navigation is the index of docs/README.md. Nothing is fetched from the network.
"""

import logging
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "build" / "site-source"
SITE = ROOT / "build" / "site"
INDEX = "docs/README.md"
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
_FOLDER_LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?!\w+:|#)(?P<target>[^)#\s]+)\)")
_SECTION = re.compile(r"^## (.+)$")
_ENTRY = re.compile(r"^- .*?\[([^\]]+)\]\(([^)#]+\.md)\)")


def linked_files(start: str) -> set[str]:
    """Return the tracked files that are reached from a page over relative links."""
    listed = subprocess.run(
        ("git", "ls-files"), cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked = set(listed.stdout.splitlines())
    found = {start}
    pending = [start]
    while pending:
        page = pending.pop()
        if not page.endswith(".md"):
            continue
        for target in _LINK.findall((ROOT / page).read_text()):
            path = (ROOT / page).parent / target
            name = path.resolve().relative_to(ROOT).as_posix()
            name = f"{name}/README.md" if f"{name}/README.md" in tracked else name
            if name in tracked and name not in found:
                found.add(name)
                pending.append(name)
    return found


def navigation(index: str) -> list[Any]:
    """Return the sections of the index with the first page that each of its lines links to."""
    sections: list[tuple[str, list[dict[str, str]]]] = []
    for line in index.splitlines():
        if heading := _SECTION.match(line):
            sections.append((heading[1], []))
        elif sections and (entry := _ENTRY.match(line)):
            page = (Path("docs") / entry[2]).as_posix()
            target = "README.md" if page.startswith("docs/..") else page
            sections[-1][1].append({entry[1]: target})
    return [{"Home": INDEX}, *({name: pages} for name, pages in sections)]


def site_links(name: str) -> str:
    """Return a page whose links to folders lead to their README, or are text without one."""
    page = ROOT / name

    def link(found: re.Match[str]) -> str:
        target = page.parent / found["target"]
        if not target.is_dir():
            return found[0]
        readme = f"{found['target'].rstrip('/')}/README.md"
        return f"[{found['text']}]({readme})" if (page.parent / readme).is_file() else found["text"]

    return _FOLDER_LINK.sub(link, page.read_text())


def copy_sources() -> None:
    """Copy the pages, and the files that they link to, into a folder of their own."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for name in linked_files(INDEX) | linked_files("README.md"):
        target = SOURCE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".md"):
            target.write_text(site_links(name))
        else:
            shutil.copyfile(ROOT / name, target)


def main() -> None:
    """Build the site; a broken link or anchor fails it."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    copy_sources()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    config = load_config(
        None,
        config_file_path=str(ROOT / "mkdocs.yml"),
        site_name=f"Flowmesh {version}",
        docs_dir=str(SOURCE),
        site_dir=str(SITE),
        nav=navigation((ROOT / INDEX).read_text()),
        strict=True,
    )
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    except Abort as error:
        sys.exit(f"docs-site: {error}")
    pages = sum(1 for _ in SITE.rglob("*.html"))
    print(f"{pages} pages in {SITE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
