"""Commands on plugins: their projects and wheels, catalogues, and those of a namespace."""
