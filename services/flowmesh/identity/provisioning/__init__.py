"""Users and groups that identity providers provision (SCIM 2.0)."""
