"""The bill of materials of this process, in CycloneDX, and its versions."""

import platform
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions

from flowmesh.contract.json_value import Json
from flowmesh.telemetry.export import VERSION

_NAME = "flowmesh-suite"


def bill_of_materials() -> str:
    """Return the installed packages as JSON of CycloneDX 1.5."""
    # Imported here: a tenth of a second, which no start has to wait for.
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot5
    from packageurl import PackageURL

    bom = Bom()
    bom.metadata.component = Component(
        name=_NAME, version=VERSION, type=ComponentType.APPLICATION, bom_ref=_NAME
    )
    for each in _installed():
        name, version = each.metadata["Name"], each.version
        url = PackageURL("pypi", name=name.lower(), version=version)
        bom.components.add(
            Component(
                name=name,
                version=version,
                type=ComponentType.LIBRARY,
                purl=url,
                bom_ref=url.to_string(),
            )
        )
    return JsonV1Dot5(bom).output_as_string(indent=2)


def versions() -> dict[str, Json]:
    """Return the versions of the suite, of Python and of the system."""
    return {
        "flowmesh": VERSION,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": sum(1 for _ in _installed()),
    }


def _installed() -> Iterator[Distribution]:
    """Yield each installed package once, except the suite itself."""
    seen = {_NAME}
    for each in distributions():
        name = each.metadata["Name"]
        if name and name not in seen:
            seen.add(name)
            yield each
