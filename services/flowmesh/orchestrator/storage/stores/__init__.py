"""The tables of the orchestrator: a store for each subject, a typed method for each query."""
