"""SCIM 2.0: provisioning of users and groups by identity providers (RFC 7643 and 7644)."""
