"""Executions of projects in several cells as one list, and what happens while a cell is away."""

from itertools import count
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator

from flowmesh.cells import cell_of
from flowmesh.gateway.cells.lists import PASSED_ON
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite, SuiteFailed
from tests.features.cells.three import (
    EU,
    HELLO,
    NAMES,
    WITHIN_S,
    Cells,
    finished,
    settings_of,
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

LIST = "/api/v1/cells/executions"
# Tests share their cells: each has projects of its own.
_NUMBERS = count()


class Filled(NamedTuple):
    """Three projects at home in three cells, and their executions, newest first."""

    red: str
    green: str
    blue: str
    made: list[str]

    @property
    def projects(self) -> str:
        return f"{self.red},{self.green},{self.blue}"


async def filled(cells: Cells, each: int) -> Filled:
    """Pin three new projects to three cells, and run executions in turn."""
    number = next(_NUMBERS)
    names = red, green, blue = f"red{number}", f"green{number}", f"blue{number}"
    made = []
    for project, cell in zip(names, (0, 1, EU), strict=True):
        await cells.pin(project, cell)
        headers = {"flowmesh-namespace": project}
        assert (await cells.suites[0].post("/workflows", HELLO, headers=headers)).status == 201
    for _ in range(each):
        for project in names:
            answer = await cells.suites[1].post(
                "/api/v1/workflows/hello/execute", {}, headers={"flowmesh-namespace": project}
            )
            made.append(answer.json["executionId"])
    return Filled(red, green, blue, sorted(made, reverse=True))


async def listed(cells: Cells, query: str) -> Any:
    answer = await cells.suites[1].get(f"{LIST}?{query}")
    assert answer.status == 200, answer.text
    return answer.json


async def test_lists_are_merged_over_cells(cells: Cells) -> None:
    """Each execution once, newest first, page by page; a cell that is away is named and keeps its
    place.
    """
    at = await filled(cells, each=4)
    for size in (1, 5, 12, 100):
        found, token, pages = [], "", 0
        while token or not pages:
            query = f"projects={at.projects}&pageSize={size}&pageToken={token}"
            page = await listed(cells, query)
            assert page["partial"] == []
            found += [each["executionId"] for each in page["executions"]]
            token, pages = page["nextPageToken"], pages + 1
        assert found == at.made
    first = await listed(cells, f"projects={at.projects}&pageSize=3")
    assert {each["cell"] for each in first["executions"]} == {name for name, _ in NAMES}

    eu = cells.suites[EU]
    await eu.kill_everything()
    page = await listed(cells, f"projects={at.projects}")
    assert page["partial"] == ["eu2"]
    assert [each["executionId"] for each in page["executions"]] == [
        each for each in at.made if cell_of(each) != EU
    ]
    await eu.start()

    async def whole() -> bool:
        return bool((await listed(cells, f"projects={at.blue}"))["partial"] == [])

    await until("the cell answers again", whole, within_s=WITHIN_S)
    rest = await listed(cells, f"projects={at.projects}&pageToken={page['nextPageToken']}")
    assert [each["executionId"] for each in rest["executions"]] == [
        each for each in at.made if cell_of(each) == EU
    ]


async def test_the_list_is_as_its_document_says(cells: Cells) -> None:
    """Each member of an answer, and each parameter that the front takes."""
    at = await filled(cells, each=1)
    suite = cells.suites[1]
    document = (await suite.get("/openapi.json")).json
    operation = document["paths"][LIST]["get"]
    named = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
    assert named == PASSED_ON | {"projects", "pageSize", "pageToken"}
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    query = f"projects={at.projects}&status=completed"

    async def completed() -> bool:
        return len((await listed(cells, query))["executions"]) == len(at.made)

    await until("the executions have completed", completed, within_s=WITHIN_S)
    answer = await listed(cells, query)
    validator = Draft202012Validator({**schema, "components": document["components"]})
    assert [each.message for each in validator.iter_errors(answer)] == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "REQUEST_INVALID"),
        ("projects=", "REQUEST_INVALID"),
        ("projects=a%20b", "REQUEST_INVALID"),
        ("projects=a&pageSize=none", "REQUEST_INVALID"),
        ("projects=a&orderBy=ended", "REQUEST_INVALID"),
        ("projects=a&pageToken=x", "PAGE_TOKEN_INVALID"),
        ("projects=a&pageToken=W10", "PAGE_TOKEN_INVALID"),
    ],
)
async def test_bad_lists(cells: Cells, query: str, reason: str) -> None:
    """Each parameter is checked before a cell is asked."""
    answer = await cells.suites[1].get(f"{LIST}?{query}")
    assert (answer.status, answer.json["error"]["reason"]) == (400, reason)


async def test_a_page_token_is_of_its_projects(cells: Cells) -> None:
    """That of other projects, and that of a list of one cell, is refused."""
    at = await filled(cells, each=1)
    token = (await listed(cells, f"projects={at.red},{at.green}&pageSize=1"))["nextPageToken"]
    one = await cells.suites[0].get(
        "/api/v1/executions?pageSize=1", headers={"flowmesh-namespace": at.red}
    )
    for projects, given in ((f"{at.red},{at.blue}", token), (at.red, one.json["nextPageToken"])):
        answer = await cells.suites[1].get(f"{LIST}?projects={projects}&pageToken={given or 'x'}")
        assert answer.json["error"]["reason"] == "PAGE_TOKEN_INVALID"


async def test_moves_that_even_out_loads_are_named(cells: Cells) -> None:
    """By REST for the named projects, and by the command for all of the directory."""
    at = await filled(cells, each=1)
    query = f"projects=heavy,light,{at.green},{at.blue}"
    for project in ("heavy", "light"):
        await cells.pin(project, 1)
        headers = {"flowmesh-namespace": project}
        assert (await cells.suites[0].post("/workflows", HELLO, headers=headers)).status == 201
        for _ in range(30):
            await cells.suites[0].post("/api/v1/workflows/hello/execute", {}, headers=headers)

    async def advised() -> bool:
        answer = await cells.suites[0].get(f"/api/v1/cells/advice?{query}")
        assert answer.status == 200, answer.text
        assert answer.json["partial"] == []
        moves = answer.json["moves"]
        return any(move["from"] == "us1" and move["to"] != "us1" for move in moves)

    await until("a move is advised", advised, within_s=WITHIN_S)
    bad = await cells.suites[0].get("/api/v1/cells/advice?projects=")
    assert (bad.status, bad.json["error"]["reason"]) == (400, "REQUEST_INVALID")
    unknown = await cells.suites[0].get("/api/v1/cells/advice?projects=heavy&days=1")
    assert (unknown.status, unknown.json["error"]["reason"]) == (400, "REQUEST_INVALID")
    code, output, errors = await finished(cells, "advise")
    assert code == 0, errors
    assert "us1 " in output
    assert "flowmesh cells move " in output


async def test_each_gateway_lists_the_cells(cells: Cells) -> None:
    """With the number of their projects, and its own."""
    await cells.pin("counted", EU)
    for number, suite in enumerate(cells.suites):
        found = (await suite.get("/api/v1/cells")).json
        assert [each["name"] for each in found["cells"]] == ["us0", "us1", "eu2"]
        assert [each["number"] for each in found["cells"] if each["own"]] == [number]
        assert found["cells"][EU]["projects"] > 0
        assert found["cells"][EU]["http"] == cells.suites[EU].http_url
        assert found["moves"] == []


async def test_two_cells_of_one_number(cells: Cells) -> None:
    """The second one does not start, and says who has the number."""
    settings = {
        **settings_of(1, str(cells.suites[0].about["directory"])),
        "FLOWMESH_CELL_NAME": "other",
    }
    with pytest.raises(SuiteFailed, match="cell 1 is us1 of region us in the directory"):
        await Suite(cells.folder / "other", environment=settings).start()


async def test_the_control_cell_is_away(cells: Cells) -> None:
    """The others go on, and a gateway that restarts meanwhile has its copy of the directory."""
    at = await filled(cells, each=1)
    control, front = cells.suites[0], cells.suites[1]
    await control.kill_everything()
    await front.stop()
    await front.start()
    page = await listed(cells, f"projects={at.green},{at.blue}&pageSize=100")
    assert {each["executionId"] for each in page["executions"]} >= {
        each for each in at.made if cell_of(each) != 0
    }
    answer = await front.get("/api/v1/workflows", headers={"flowmesh-namespace": at.blue})
    assert answer.status == 200
