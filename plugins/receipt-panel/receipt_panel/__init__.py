"""A receipt of an execution, as a panel of the console."""
