"""The mark of tests that need RabbitMQ, which is no package of Python: the only ones skipped."""

import pytest

from flowmesh.testing.rabbitmq import SERVER

needs_rabbitmq = pytest.mark.skipif(
    not SERVER.exists(), reason="RabbitMQ is missing: apt-get install rabbitmq-server"
)
