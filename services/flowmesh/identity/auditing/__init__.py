"""The audit log: its chains, their signatures and their verification."""
