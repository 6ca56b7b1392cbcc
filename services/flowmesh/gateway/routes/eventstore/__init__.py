"""Routes of the event store: streams, groups of consumers, projections."""
