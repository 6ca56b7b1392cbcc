"""The contracts can be generated for other languages as they are."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy import sources

PROTOS = tuple(e for e in sources.tracked() if e.startswith("protos/") and e.endswith(".proto"))
OPTION = re.compile(r'^option (\w+) = (?:"(.*)"|(\w+));$', re.MULTILINE)
PACKAGE = re.compile(r"^package (flowmesh\.api\.(\w+)\.v1);$", re.MULTILINE)
# Files generated for a message of the package, by language.
GENERATED = {
    "java": "dev/flowmesh/api/worker/v1/Task.java",
    "csharp": "Flowmesh/Api/Worker/V1/Task.cs",
}


@pytest.mark.parametrize("name", PROTOS)
def test_every_proto_names_its_package_in_every_language(name: str) -> None:
    """Go, Java and C# packages follow from the package of the file, which is that of its folder."""
    text = sources.text(name)
    package = PACKAGE.search(text)
    assert package is not None, f"{name}: a package flowmesh.api.<area>.v1 is missing"
    full, area = package.groups()
    assert Path(name).parent == Path("protos", *full.split("."))
    assert {key: quoted or word for key, quoted, word in OPTION.findall(text)} == {
        "csharp_namespace": f"Flowmesh.Api.{area.capitalize()}.V1",
        "go_package": f"flowmesh.dev/gen/{full.replace('.', '/')};{area}v1",
        "java_multiple_files": "true",
        "java_package": f"dev.{full}",
    }


@pytest.mark.parametrize("language", GENERATED)
def test_protoc_generates_every_proto_without_options(language: str, tmp_path: Path) -> None:
    """`protoc --java_out` and `--csharp_out` take all files at once, each into its package."""
    protoc = Path(sys.executable).with_name("protoc")
    options = ("--csharp_opt=base_namespace=",) if language == "csharp" else ()
    subprocess.run(
        [
            *(protoc, "--proto_path=protos", f"--{language}_out={tmp_path}", *options),
            *(str(Path(name).relative_to("protos")) for name in PROTOS),
        ],
        cwd=sources.ROOT,
        check=True,
    )
    assert (tmp_path / GENERATED[language]).is_file()
