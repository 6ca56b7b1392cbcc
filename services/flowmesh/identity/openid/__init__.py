"""OpenID Connect: calls of providers, what their claims mean, and the sessions that they opened."""
