"""Sources checked against the library, and dry runs."""
