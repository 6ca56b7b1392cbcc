"""Sources checked against the catalog, and dry runs."""
