"""The blocking client: register a workflow, start it, watch its events.

Run it beside `flowmesh dev`: python examples/sdk_blocking.py
"""

from flowmesh.sdk import Client, Status

PAUSE = {
    "id": "short-pause",
    "name": "Short pause",
    "steps": [{"id": "wait", "name": "Wait", "action": "delay", "params": {"duration": 50}}],
}


def main(address: str = "") -> Status:
    with Client.sync(address) as client:
        client.register(PAUSE)
        handle = client.start("short-pause", {"why": "to show events"})
        for event in handle.events():
            print(event.sequence, event.type, event.node)
        return handle.wait().status


if __name__ == "__main__":
    main()
