"""Links and hooks without the name of a project reach their cell through any gateway."""

from urllib.parse import urlsplit

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from tests.features.cells.three import EU, WITHIN_S, Cells

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

ASKING = """
apiVersion: workflow.io/v1
kind: Workflow
metadata: {name: asking}
spec:
  tasks:
    - {id: ok, approval: {assignees: [ida], title: Please decide}}
    - {id: called, taskRef: webhook.receive}
"""


@pytest.mark.parametrize(("home", "front"), [(1, 0), (EU, 1)])
async def test_links_reach_their_cell(cells: Cells, home: int, front: int) -> None:
    """The page of an approval, its decision, and the call that a node waits for."""
    project = f"asks{home}"
    await cells.pin(project, home)
    headers = {"flowmesh-namespace": project}
    own, other = cells.suites[home], cells.suites[front]
    async with Client(own.grpc_address, namespace=project) as client:
        await client.apply(ASKING)
        execution_id = (await client.start("asking")).id
    path = f"/api/v1/executions/{execution_id}"

    async def waits() -> bool:
        answer = await own.get(f"{path}/hooks", headers=headers)
        return answer.status == 200 and "/api/v1/hooks/t/" in answer.text

    await until("the node waits for a call", waits, within_s=WITHIN_S)
    made = await own.post(f"{path}/nodes/ok:link", {"by": "ida"}, headers=headers)
    link = urlsplit(made.json["url"]).path
    page = await other.get(link, headers={"accept": "text/html"})
    assert (page.status, "Please decide" in page.text) == (200, True)
    form = {"content-type": "application/x-www-form-urlencoded", "accept": "text/html"}
    decided = await other.request("POST", link, data=b"decision=approve", headers=form)
    assert decided.status == 200, decided.text
    hooks = (await own.get(f"{path}/hooks", headers=headers)).json["hooks"]
    called = await other.post(hooks[0]["url"], {"paid": True})
    assert called.status == 202, called.text

    async def completed() -> bool:
        answer = await other.get(path, headers=headers)
        return bool(answer.json["status"] == "completed")

    await until("the execution has completed", completed, within_s=WITHIN_S)
    assert (await other.get("/approve/1.none.none")).status == 403
