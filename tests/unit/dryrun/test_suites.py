"""Files of workflow tests: what they say, what is wrong with them, and how tests fail."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from defusedxml import ElementTree

from flowmesh.definitions.reading.yaml_text import read_yaml
from flowmesh.dryrun.coverage import Coverage, percent
from flowmesh.dryrun.editor import SCHEMAS
from flowmesh.dryrun.junit import junit
from flowmesh.dryrun.suites import Outcome, read_suite, run_case
from flowmesh.sandbox import Sandbox

DEFINITION = """\
apiVersion: workflow.io/v1
kind: WorkflowTask
metadata: {name: charge}
spec:
  type: http
  http: {method: POST, url: "https://pay.example/", body: {total: "{{input.total}}"}}
  retry: {maxAttempts: 2, initialDelay: 1s}
---
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: order}
spec:
  tasks:
    - {id: pay, taskRef: charge, input: {total: "{{input.total}}"}}
    - {id: gift, taskRef: noop, dependsOn: [pay], condition: "input.total > 100"}
    - {id: wait, taskRef: delay, input: {duration: 1h}, dependsOn: [pay]}
  output: {paid: "{{tasks.pay.output.id}}", total: "{{input.total}}"}
"""
HEAD = """\
files: [order.yaml]
fixtures: {small: {total: 5}, large: "@large.json"}
mocks: {charge: {output: {id: "p-{{input.total}}", of: "{{fixtures.large.total}}"}}}
tests:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "order.yaml").write_text(DEFINITION)
    (tmp_path / "large.json").write_text('{"total": 500}')
    return tmp_path


def written(folder: Path, tests: str, head: str = HEAD) -> Path:
    file = folder / "order.test.yaml"
    file.write_text(head + tests)
    return file


async def outcomes(folder: Path, tests: str) -> list[Outcome]:
    suite = read_suite(written(folder, tests))
    assert [each.problem.text() for each in suite.problems] == []
    async with Sandbox() as sandbox:
        return [await run_case(case, sandbox) for case in suite.cases]


async def failures(folder: Path, expect: str, more: str = "") -> list[str]:
    """Of one test of a large order."""
    test = f'  - {{name: one, input: "{{{{fixtures.large}}}}", {more} expect: {{{expect}}}}}\n'
    (outcome,) = await outcomes(folder, test)
    return list(outcome.failures)


async def test_a_test_that_holds_passes(folder: Path) -> None:
    """Everything that can be expected, at once."""
    (outcome,) = await outcomes(
        folder,
        """\
  - name: a large order
    input: "{{fixtures.large}}"
    expect:
      status: completed
      path: [pay, wait, gift]
      ran: [gift]
      skipped: []
      output: {paid: p-500, total: 500}
      outputMatches: {paid: p-500}
      duration: {atLeast: 1h, atMost: 61m}
      nodes:
        pay:
          status: completed
          attempts: 1
          input: {total: 500}
          outputMatches: {id: p-500, of: 500}
          call: {method: POST, body: {total: 500}}
      check: ["output.total == input.total", "size(calls) == 1", "nodes.pay.attempts == 1"]
""",
    )
    assert outcome.passed, outcome.failures


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ("output: {paid: p-1, total: 500}", ['output.paid: expected "p-1", is "p-500"']),
        ("output: {paid: p-500}", ["output.total: not expected, is 500"]),
        ("outputMatches: {paid: p-500}", []),
        ("outputMatches: {id: 1}", ["output.id: expected 1, missing"]),
        ("status: failed", ["status: expected failed, is completed"]),
        ("path: [pay, wait]", ["path: expected pay → wait", "path: is       pay → wait → gift"]),
        ("skipped: [gift]", ["skipped: expected gift, is nothing"]),
        ("duration: 1h", []),
        ("duration: 2h", ["duration: expected 7,200,000 ms, is 3,600,000 ms"]),
        ("duration: {atMost: 1m}", ["duration: expected at most 60,000 ms, is 3,600,000 ms"]),
        ("nodes: {pay: {attempts: 2}}", ["nodes.pay.attempts: expected 2, is 1"]),
        ("nodes: {pay: {input: {total: 1}}}", ["nodes.pay.input.total: expected 1, is 500"]),
        ("nodes: {pay: {call: {method: PUT}}}",
         ['nodes.pay.call.method: expected "PUT", is "POST"']),
        ("nodes: {wait: {call: {}}}", ["nodes.wait.call: expected a call, found none"]),
        ("failure: {class: Timeout}, status: completed",
         ["failure: expected a failure, found none"]),
        ('check: ["output.total == 1"]', ["check: output.total == 1: is false"]),
        ("status: completed, nodes: {gift: {status: skipped}}",
         ["nodes.gift.status: expected skipped, is completed"]),
    ],
)  # fmt: skip
async def test_unexpected_values_are_reported(folder: Path, expect: str, told: list[str]) -> None:
    """Each difference on a line, with its path, what was expected and what is there."""
    assert await failures(folder, expect) == told


async def test_a_failure_may_be_expected(folder: Path) -> None:
    """By class, a part of the message and the node; then `failed` is the status."""
    declined = "mocks: {pay: {failure: {class: ClientError, message: the card is declined}}},"
    expect = "failure: {class: ClientError, message: declined, node: pay}"
    assert await failures(folder, expect, declined) == []
    assert await failures(folder, "failure: {class: Timeout, message: late}", declined) == [
        "failure.class: expected Timeout, is ClientError",
        'failure.message: expected to contain "late", is "the card is declined"',
    ]
    assert await failures(folder, "", declined) == [
        "status: expected completed, is failed (ClientError: the card is declined)"
    ]


@pytest.mark.parametrize(
    ("tests", "code", "place", "line"),
    [
        ("  - {name: a, inptu: {}}\n", "DEFINITION_INVALID", "tests[0].inptu", "5:15"),
        ("  - {input: {}}\n", "DEFINITION_INVALID", "tests[0].name", "5:5"),
        ("  - {name: ' '}\n", "DEFINITION_INVALID", "tests[0].name", "5:12"),
        ("  - all\n", "DEFINITION_INVALID", "tests[0]", "5:5"),
        ("  - {name: a, workflow: ordr}\n", "WORKFLOW_NOT_FOUND", "tests[0].workflow", "5:25"),
        ('  - {name: a, input: "{{fixtures.smal}}"}\n', "TEMPLATE_UNKNOWN_REFERENCE",
         "tests[0].input", "5:22"),
        ("  - {name: a, mocks: {pey: {output: 1}}}\n", "MOCKS_INVALID",
         "tests[0].mocks.pey", "5:23"),
        ("  - {name: a, now: today}\n", "DEFINITION_INVALID", "tests[0].now", "5:20"),
        ("  - {name: a, signals: [go]}\n", "MOCKS_INVALID", "tests[0].signals[0]", "5:25"),
        ("  - {name: a, expect: {path: [pey]}}\n", "GRAPH_UNKNOWN_NODE",
         "tests[0].expect.path[0]", "5:31"),
        ("  - {name: a, expect: {nodes: {pey: {}}}}\n", "GRAPH_UNKNOWN_NODE",
         "tests[0].expect.nodes.pey", "5:32"),
        ("  - {name: a, expect: {status: done}}\n", "DEFINITION_INVALID",
         "tests[0].expect.status", "5:32"),
        ("  - {name: a, expect: {check: [output ==]}}\n", "EXPRESSION_INVALID",
         "tests[0].expect.check[0]", "5:32"),
        ("  - {name: a, expect: {duration: soon}}\n", "MOCKS_INVALID",
         "tests[0].expect.duration", "5:34"),
        ("  - {name: a, expect: {nodes: {pay: {atempts: 1}}}}\n", "DEFINITION_INVALID",
         "tests[0].expect.nodes.pay.atempts", "5:38"),
    ],
)  # fmt: skip
def test_a_wrong_file_says_where(
    folder: Path, tests: str, code: str, place: str, line: str
) -> None:
    """With a code, a path, a line and a column; and nothing of it runs."""
    suite = read_suite(written(folder, tests))
    (told,) = suite.problems
    found = told.problem
    assert (found.code, found.place, f"{found.line}:{found.column}") == (code, place, line)
    assert suite.cases == []


def test_definitions_are_checked_first(folder: Path) -> None:
    """Their problems are reported with their own file."""
    (folder / "order.yaml").write_text(DEFINITION.replace("taskRef: delay", "taskRef: dely"))
    suite = read_suite(written(folder, "  - {name: a}\n"))
    (told,) = suite.problems
    assert (told.file.name, told.problem.code) == ("order.yaml", "TASK_NOT_FOUND")
    assert "did you mean 'delay'?" in told.problem.message


@pytest.mark.parametrize("text", ["", "[1]", "a: *b", "files: [nothing.yaml]\ntests: []", "{"])
def test_an_invalid_suite_file_is_reported(folder: Path, text: str) -> None:
    """Not YAML, not an object, or without definitions."""
    assert read_suite(written(folder, "", text)).problems


async def test_coverage_counts_nodes_and_branches(folder: Path) -> None:
    """A small order leaves the gift out: its node, and its condition being true."""
    small = '  - {name: small, input: "{{fixtures.small}}"}\n'
    large = '  - {name: large, input: "{{fixtures.large}}"}\n'
    coverage = Coverage("order")
    (outcome,) = await outcomes(folder, small)
    assert outcome.report is not None
    coverage.add(outcome.report)
    assert coverage.missed == ["gift", "gift is true"]
    assert percent([coverage]) == 60
    (outcome,) = await outcomes(folder, large)
    assert outcome.report is not None
    coverage.add(outcome.report)
    assert (coverage.missed, percent([coverage])) == ([], 100)


async def test_junit_holds_every_outcome(folder: Path) -> None:
    """Passed, failed, and a file that cannot run."""
    tests = "  - {name: good, input: {total: 1}}\n  - {name: bad, expect: {output: 1}}\n"
    found = await outcomes(folder, tests)
    suite = read_suite(written(folder, tests))
    broken = read_suite(written(folder, "  - {}\n"))
    document = ElementTree.fromstring(
        junit([(suite, [(each, 0.5) for each in found]), (broken, [])])
    )
    good, bad, none = document.iter("testcase")
    assert (good.get("name"), len(good)) == ("good", 0)
    assert bad[0].tag == "failure"
    assert none[0].tag == "error"
    counts = [(one.get("tests"), one.get("failures"), one.get("errors")) for one in document]
    assert counts == [("2", "1", "0"), ("1", "0", "1")]


@pytest.mark.parametrize(
    ("tests", "fits"),
    [
        ("  - {name: a, mocks: {pay: [{output: 1, after: 1s}, {failure: {class: A}}]}}\n", True),
        ("  - {name: a, expect: {status: failed, nodes: {pay: {attempts: 1, call: {}}}}}\n", True),
        ("  - {name: a, expect: {duration: {atLeast: 1s}, failure: {class: A}}}\n", True),
        ("  - {name: a, expcet: {}}\n", False),
        ("  - {name: a, mocks: {pay: {}}}\n", False),
        ("  - {name: a, mocks: {pay: {output: 1, failure: {class: A}}}}\n", False),
        ("  - {name: a, expect: {duration: {least: 1s}}}\n", False),
        ("  - {name: a, expect: {nodes: {pay: {state: x}}}}\n", False),
        ("  - {input: 1}\n", False),
    ],
)  # fmt: skip
def test_the_schema_for_editors_agrees(tests: str, fits: bool) -> None:
    """Of files of tests too."""
    document: Any = read_yaml(HEAD + tests)[0]
    assert jsonschema_rs.is_valid(SCHEMAS["test"](), document) is fits
