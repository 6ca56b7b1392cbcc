"""Queues, a stream, a secret and an application, for the pages that list such things."""

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


async def _messages(seeded: Seeded) -> None:
    queue = "/api/v1/message-queues/returns"
    await seeded.send("PUT", queue, {"deadLetterQueue": "returns.dlq"})
    messages: Json = [{"body": {"parcel": name, "reason": "too small"}} for name in ("lamp", "rug")]
    await seeded.post(f"{queue}:publish", {"messages": messages})
    await seeded.send("PUT", "/api/v1/exchanges/parcels", {"type": "topic"})
    bound = {"queue": "returns", "key": "parcel.returned.*"}
    await seeded.post("/api/v1/exchanges/parcels:bind", bound)
