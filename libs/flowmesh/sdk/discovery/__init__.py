"""Service discovery: values, a view of the registry that follows its changes, blocking calls."""
