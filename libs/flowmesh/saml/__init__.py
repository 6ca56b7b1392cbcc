"""Messages of SAML 2.0 identity providers, verified in a child process of the sandbox only."""
