"""Routes about users, sessions, tenants and API keys."""
