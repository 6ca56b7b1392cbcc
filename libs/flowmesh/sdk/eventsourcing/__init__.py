"""Event sourcing: aggregates, projections and groups of consumers over the event store."""
