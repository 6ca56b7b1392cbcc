"""The identity service: tenants, users, roles, API keys and tokens.

It resolves credentials for the other services, which decide by their own rules. It knows nothing
of workflows.
"""
