"""Versions and checksums of the packages: SHA256SUMS, and a bill of materials in SPDX."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

PACKAGES = ("*.whl", "*.zip", "*.tgz", "*.jar", "*.crate")
# The files that state the version of a package, and the first group is it.
STATED = {
    "gen/rust/Cargo.toml": r'^version = "(.+)"',
    "gen/typescript/package.json": r'"version": "(.+)"',
    "sdks/go/go.mod": r"flowmesh\.dev/gen v(\S+)",
    "sdks/java/pom.xml": r"<artifactId>flowmesh-parent</artifactId>\s*<version>(.+)</version>",
    "sdks/java/programs/pom.xml": r"<version>(.+)</version>",
    "sdks/java/proto/pom.xml": r"<version>(.+)</version>",
    "sdks/java/sdk/pom.xml": r"<version>(.+)</version>",
    "sdks/rust/Cargo.toml": r'^version = "(.+)"',
    "sdks/typescript/package.json": r'"version": "(.+)"',
}


def version(root: Path) -> str:
    """Return the version of the suite, which is that of all packages."""
    found = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert isinstance(found, str)
    return found


def version_problems(root: Path) -> Iterator[str]:
    """Yield each file whose version is not that of the suite."""
    wanted = version(root)
    for name, pattern in STATED.items():
        stated = re.search(pattern, (root / name).read_text(), re.MULTILINE)
        found = stated[1] if stated else "none"
        if found != wanted:
            yield f"the version in {name} is {found}, pyproject.toml has {wanted}"


def write(folder: Path, release: str) -> None:
    """Write SHA256SUMS and flowmesh.spdx.json of the packages in a folder."""
    files = sorted(file for pattern in PACKAGES for file in folder.rglob(pattern))
    sums = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
    }
    lines = [f"{digest}  {name}\n" for name, digest in sums.items()]
    (folder / "SHA256SUMS").write_text("".join(lines))
    (folder / "flowmesh.spdx.json").write_text(json.dumps(_spdx(release, sums), indent=2) + "\n")


def _spdx(release: str, sums: dict[str, str]) -> dict[str, object]:
    total = hashlib.sha256("".join(sums.values()).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"flowmesh-{release}",
        "documentNamespace": f"https://flowmesh.dev/spdx/{release}/{total[:16]}",
        "creationInfo": {
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Tool: tools.release"],
        },
        "packages": [
            {
                "name": Path(name).name,
                "SPDXID": f"SPDXRef-{re.sub('[^A-Za-z0-9.-]', '-', name)}",
                "versionInfo": release,
                "packageFileName": name,
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": False,
                "licenseConcluded": "Apache-2.0",
                "licenseDeclared": "Apache-2.0",
                "copyrightText": "NOASSERTION",
                "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
            }
            for name, digest in sums.items()
        ],
    }
