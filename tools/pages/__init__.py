"""The generated pages of docs/, one module each with a `page()` that returns its text."""
