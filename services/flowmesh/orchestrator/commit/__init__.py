"""The committer: takes what waits, runs the engine, persists, publishes."""
