"""The event store: streams of events of users, groups of consumers, projections."""
