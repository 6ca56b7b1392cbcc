"""Operations on executions: start, wait, signal, control, approve, limit."""
