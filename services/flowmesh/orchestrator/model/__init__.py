"""Values that all of the orchestrator shares: ids, errors, commands, plans, messages. No I/O."""
