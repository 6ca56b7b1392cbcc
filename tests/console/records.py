"""Queues, a stream, a secret, an application and a dashboard, for pages that list such things."""

from flowmesh.contract.json_value import Json
from tests.console.seeds import Seeded

APP = """name: till
modules:
  - {name: web, type: http.server, config: {address: ":0"}}
  - {name: router, type: http.router, config: {prefix: /api}}
  - {name: cors, type: http.middleware.cors}
  - {name: db, type: database.workflow, config: {driver: sqlite, dsn: data/till.db}}
  - {name: store, type: persistence.store, config: {database: db}, dependsOn: [db]}
  - {name: queries, type: api.query}
workflows:
  http:
    routes:
      - method: GET
        path: /api/receipts
        handler: queries
        middlewares: [cors]
        pipeline:
          steps:
            - {name: make, type: step.set, config: {values: {word: receipt}}}
            - {name: respond, type: step.json_response, config: {body_from: steps.make}}
"""


DASHBOARD: Json = {
    "name": "suite",
    "title": "The suite",
    "hours": 1,
    "panels": [
        {
            "title": "Completed",
            "kind": "number",
            "series": [{"metric": "flowmesh_workflows_completed_total"}],
        },
        {
            "title": "Calls of services",
            "unit": "per-second",
            "series": [{"metric": "flowmesh_rpc_total", "by": "service"}],
        },
        {
            "title": "p95 of services",
            "kind": "table",
            "unit": "seconds",
            "series": [
                {"metric": "flowmesh_rpc_seconds_bucket", "by": "service", "quantile": 0.95}
            ],
        },
    ],
}


async def seed_records(seeded: Seeded) -> None:
    """Declare and fill them."""
    await _messages(seeded)
    events: Json = [
        {"type": "order.opened", "data": {"by": "ada", "items": ["lamp", "chair"]}},
        {"type": "order.paid", "data": {"amount": 129.5}},
        {"type": "order.shipped", "data": {"carrier": "post"}},
    ]
    await seeded.post("/api/v1/streams/order-4711/events", {"events": events})
    secret = "/api/v1/projects/prj_default/secrets/bank-token"
    await seeded.send("PUT", secret, {"value": "of the bank"})
    await seeded.post("/api/v1/apps/till:deploy", {"document": APP})
    await seeded.send("PUT", "/api/v1/observe/dashboards/suite", DASHBOARD)


async def _messages(seeded: Seeded) -> None:
    queue = "/api/v1/message-queues/returns"
    await seeded.send("PUT", queue, {"deadLetterQueue": "returns.dlq"})
    messages: Json = [{"body": {"parcel": name, "reason": "too small"}} for name in ("lamp", "rug")]
    await seeded.post(f"{queue}:publish", {"messages": messages})
    await seeded.send("PUT", "/api/v1/exchanges/parcels", {"type": "topic"})
    bound = {"queue": "returns", "key": "parcel.returned.*"}
    await seeded.post("/api/v1/exchanges/parcels:bind", bound)
