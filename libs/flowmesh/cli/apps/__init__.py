"""Commands of applications: run, validate, inspect, modules, schema and others; no suite needed."""
