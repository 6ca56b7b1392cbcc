"""Ids that the SDK generates by default."""

import uuid


def new_request_id() -> str:
    return str(uuid.uuid4())


def new_worker_id() -> str:
    return f"worker-{uuid.uuid4()}"
