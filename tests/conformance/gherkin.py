"""Reader of the part of Gherkin that the Serverless Workflow scenarios use."""

import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from flowmesh.contract.json_value import Json

_STEP = re.compile(r"\s*(?:Given|When|Then|And)\s+(.*\S)\s*\Z")
_SCENARIO = re.compile(r"\s*Scenario:\s*(.*\S)\s*\Z")
_FENCE = '"""'


@dataclass(slots=True)
class Step:
    """A line and the YAML value below it, if any."""

    text: str
    block: str = ""

    @property
    def value(self) -> Json:
        return yaml.safe_load(self.block)


@dataclass(slots=True)
class Scenario:
    feature: str
    name: str
    steps: list[Step] = field(default_factory=list)


def scenarios(folder: Path) -> list[Scenario]:
    """Return every scenario in the `.feature` files of a folder, in order."""
    found: list[Scenario] = []
    for file in sorted(folder.glob("*.feature")):
        found += _read(file.stem, file.read_text())
    return found


def _read(feature: str, text: str) -> list[Scenario]:
    found: list[Scenario] = []
    block: list[str] | None = None
    for line in text.splitlines():
        if line.strip().startswith(_FENCE):
            if block is None:
                block = []
            else:
                found[-1].steps[-1].block = textwrap.dedent("\n".join(block))
                block = None
        elif block is not None:
            block.append(line)
        elif match := _SCENARIO.match(line):
            found.append(Scenario(feature, match.group(1)))
        elif found and (match := _STEP.match(line)):
            found[-1].steps.append(Step(match.group(1)))
    return found
