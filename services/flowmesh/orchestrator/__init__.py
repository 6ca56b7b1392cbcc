"""The orchestrator: owns executions, commits their transitions, hands their tasks out."""
