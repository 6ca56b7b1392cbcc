"""Operations of callers on executions: start, wait, steer, approve, bulk."""
