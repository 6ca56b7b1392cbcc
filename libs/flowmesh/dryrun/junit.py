"""Results of tests as JUnit XML, for CI systems."""

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from flowmesh.dryrun.suites import Outcome, Suite

# Characters that XML 1.0 does not allow.
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(suites: Iterable[tuple[Suite, list[tuple[Outcome, float]]]]) -> bytes:
    """Return the document of outcomes with their durations in seconds."""
    root = ElementTree.Element("testsuites", name="flowmesh")
    for suite, outcomes in suites:
        element = ElementTree.SubElement(
            root,
            "testsuite",
            name=str(suite.file),
            tests=str(len(outcomes) + bool(suite.problems)),
            failures=str(sum(bool(outcome.failures) for outcome, _ in outcomes)),
            errors=str(sum(bool(o.error) for o, _ in outcomes) + bool(suite.problems)),
            time=f"{sum(seconds for _, seconds in outcomes):.3f}",
        )
        if suite.problems:
            case = _case(element, suite.file, str(suite.file), 0.0)
            lines = (f"{each.file}: {each.problem.text()}" for each in suite.problems)
            _failed(case, "error", "the file cannot be run", lines)
        for outcome, seconds in outcomes:
            case = _case(element, suite.file, outcome.case.name, seconds)
            case.set("line", str(outcome.case.line))
            if outcome.error:
                _failed(case, "error", outcome.error, ())
            elif outcome.failures:
                _failed(case, "failure", outcome.failures[0], outcome.failures)
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode", xml_declaration=True)
    return f"{text}\n".encode()


def _case(suite: ElementTree.Element, file: Path, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite,
        "testcase",
        classname=file.name.partition(".")[0],
        name=_plain(name),
        file=str(file),
        time=f"{seconds:.3f}",
    )


def _failed(case: ElementTree.Element, kind: str, message: str, lines: Iterable[str]) -> None:
    element = ElementTree.SubElement(case, kind, message=_plain(message))
    element.text = _plain("\n".join(lines))


def _plain(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
