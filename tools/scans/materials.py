"""The bill of materials of the repository in CycloneDX: every package of every lock file."""

from collections.abc import Iterable
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot5
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from tools.scans import licences
from tools.scans.findings import Finding, Result
from tools.scans.packages import Package


def scan(found: Iterable[Package], table: dict[str, dict[str, str]], file: Path) -> Result:
    """Write the bill; a package without a version is a finding."""
    unique = {(each.kind, each.name, each.version): each for each in found}
    findings = [
        Finding("materials", each.key, f"has no version in {each.lock}")
        for each in unique.values()
        if not each.version and each.kind != "maven"
    ]
    text = bill(unique.values(), table)
    if (error := JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)) is not None:
        findings.append(Finding("materials", file.name, str(error)))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return Result("materials", len(unique), findings)


def bill(found: Iterable[Package], table: dict[str, dict[str, str]]) -> str:
    """Return JSON of CycloneDX 1.5, the same for the same packages."""
    bom = Bom()
    factory = LicenseFactory()
    name = "flowmesh-suite"
    whole = Component(name=name, type=ComponentType.APPLICATION, bom_ref=name)
    bom.metadata.component = whole
    for each in found:
        namespace, _, short = each.name.rpartition("/")
        url = PackageURL(each.kind, namespace, short, each.version or None)
        licence = licences.spdx(each.licence) or table.get(each.kind, {}).get(each.name, "")
        bom.components.add(
            Component(
                name=each.name,
                version=each.version or None,
                type=ComponentType.LIBRARY,
                purl=url,
                bom_ref=url.to_string(),
                licenses=[factory.make_from_string(licence)] if licence else [],
            )
        )
    bom.register_dependency(whole, bom.components)
    return JsonV1Dot5(bom).output_as_string(indent=2)
