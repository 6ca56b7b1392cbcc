"""The keys that wrap data keys: those of key files, of Vault's transit engine and of AWS KMS."""
