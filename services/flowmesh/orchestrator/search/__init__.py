"""Lists and counts of executions: filters, orders and pages."""
