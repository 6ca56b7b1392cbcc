"""One builder per language: makes its packages in a folder, and tries to publish them."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.release.manifest import version

ROOT = Path(__file__).resolve().parents[2]
GO_MODULES = {"flowmesh.dev/gen": ROOT / "gen/go", "flowmesh.dev/sdk": ROOT / "sdks/go"}
TIMEOUT_S = 1_200
# Files of a zip have one time, so that the same sources give the same bytes.
ZIP_TIME = (2026, 1, 1, 0, 0, 0)
OUTPUT_CHARS_MAX = 4_000


class BuildFailed(Exception):
    """A command that failed, with the end of its output."""


def run(*command: str, cwd: Path = ROOT, **environment: str) -> str:
    """Return the output of a command; raise BuildFailed if its exit code is not 0."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        raise BuildFailed(f"`{' '.join(command)}` failed:\n{done.stdout[-OUTPUT_CHARS_MAX:]}")
    return done.stdout


def python(folder: Path) -> list[Path]:
    """Build the wheel for every platform; pip resolves its metadata without installing it."""
    for leftover in ("lib", "bdist.linux-x86_64"):
        shutil.rmtree(ROOT / "build" / leftover, ignore_errors=True)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    isolated = ("--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    run(*pip, "wheel", *isolated, ".", FLOWMESH_CORE="pure")
    built = list(folder.glob("*.whl"))
    run(
        *pip, "install", "--dry-run", "--no-deps", "--no-index", "--ignore-installed", str(built[0])
    )
    return built


def go(folder: Path) -> list[Path]:
    """Build both modules as a proxy of Go serves them; Go downloads them from there."""
    tag = f"v{version(ROOT)}"
    for module, source in GO_MODULES.items():
        served = folder / module / "@v"
        served.mkdir(parents=True)
        (served / "list").write_text(f"{tag}\n")
        (served / f"{tag}.info").write_text(json.dumps({"Version": tag}))
        shutil.copy(source / "go.mod", served / f"{tag}.mod")
        _zip_module(served / f"{tag}.zip", f"{module}@{tag}", source)
    empty = folder / "empty"
    empty.mkdir()
    cache = {"GOMODCACHE": str(empty / "cache"), "GOFLAGS": "-modcacherw"}
    alone = {"GOPROXY": f"file://{folder}", "GONOSUMDB": "flowmesh.dev", "GOSUMDB": "off"}
    for module in GO_MODULES:
        run("go", "mod", "download", f"{module}@{tag}", cwd=empty, **cache, **alone)
    shutil.rmtree(empty)
    return sorted(folder.rglob("*.zip"))


def _zip_module(target: Path, prefix: str, source: Path) -> None:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=source)
    files = {name: source / name for name in listed.splitlines() if (source / name).is_file()}
    files["LICENSE"] = ROOT / "LICENSE"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            if not name.startswith("conformance/"):
                entry = zipfile.ZipInfo(f"{prefix}/{name}", ZIP_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, files[name].read_bytes())


def typescript(folder: Path) -> list[Path]:
    """Pack the package of npm with its license; npm tries to publish the archive offline."""
    source, stage = ROOT / "sdks/typescript", folder / "stage"
    run("bash", "build.sh", cwd=source)
    shutil.copytree(source / "dist", stage / "dist")
    for file in (source / "package.json", source / "README.md", ROOT / "LICENSE"):
        shutil.copy(file, stage)
    run("npm", "pack", "--ignore-scripts", "--pack-destination", str(folder), cwd=stage)
    shutil.rmtree(stage)
    (built,) = folder.glob("*.tgz")
    run("npm", "publish", "--dry-run", "--offline", "--ignore-scripts", str(built), cwd=folder)
    return [built]


def java(folder: Path) -> list[Path]:
    """Deploy jars, sources and javadoc into a repository of Maven in the folder."""
    repository = f"-DaltDeploymentRepository=packages::file:{folder}"
    run("bash", "sdks/java/build.sh", "-Prelease", "deploy", "-DskipTests", repository)
    return sorted(folder.rglob("*.jar"))


def rust(folder: Path) -> list[Path]:
    """Package both crates; cargo compiles what it has packaged."""
    target = ROOT / "build/sdks/rust"
    contracts = f'patch.crates-io.flowmesh-proto.path="{ROOT / "gen/rust"}"'
    for crate in ("gen/rust", "sdks/rust"):
        offline = () if crate == "gen/rust" else ("--config", contracts)
        run(
            *("cargo", "package", "--quiet", "--allow-dirty", "--target-dir", str(target)),
            *offline,
            cwd=ROOT / crate,
            CARGO_INCREMENTAL="0",
            CARGO_PROFILE_DEV_DEBUG="0",
        )
    for file in (target / "package").glob(f"*-{version(ROOT)}.crate"):
        shutil.copy(file, folder)
    return sorted(folder.glob("*.crate"))


BUILDERS: dict[str, tuple[str, Callable[[Path], list[Path]]]] = {
    "python": ("git", python),
    "go": ("go", go),
    "typescript": ("npm", typescript),
    "java": ("mvn", java),
    "rust": ("cargo", rust),
}


def available(languages: Iterable[str]) -> list[str]:
    """Return the languages whose tool is there; one without it is an error in CI."""
    found = []
    for language in languages:
        tool = BUILDERS[language][0]
        if shutil.which(tool):
            found.append(language)
        elif os.environ.get("CI") == "true":
            raise SystemExit(f"CI needs {tool} for the package of {language}")
        else:
            print(f"skipped {language}: no {tool}", file=sys.stderr)
    return found


def build(language: str, folder: Path) -> list[Path]:
    """Build the packages of a language in a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return BUILDERS[language][1](folder)
