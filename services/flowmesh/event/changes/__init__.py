"""Change triggers: committed changes of tables of users start executions."""
