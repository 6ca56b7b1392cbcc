"""Commands of identity: the key of an installation, users, keys and logins."""
