"""The worker of welcome.yaml: greets users. Run it beside `flowmesh dev`."""

from flowmesh.sdk import Worker

worker = Worker()


@worker.task("greet")
async def greet(input: dict) -> list[str]:
    """`input` is what welcome.yaml hands over, checked against the task's schema."""
    return [f"Hello {user['name']}" for user in input["users"]]


if __name__ == "__main__":
    worker.run()
