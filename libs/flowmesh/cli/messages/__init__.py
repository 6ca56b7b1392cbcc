"""Commands about queues of messages and exchanges."""
