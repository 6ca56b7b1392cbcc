"""The event service: lifecycle events to subscribers, and callbacks to the outside."""
