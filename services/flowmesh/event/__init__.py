"""The event service: streams of lifecycle events, triggers, and HTTP callbacks."""
