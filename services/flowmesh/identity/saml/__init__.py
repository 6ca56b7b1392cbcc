"""SAML 2.0: requests to providers, and what their answers mean."""
