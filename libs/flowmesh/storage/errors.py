"""Errors of opening a database; a service's own queries raise the driver's.

StorageError             the message is one line and says what to do
├── DatabaseUnreachable      nothing answered at the address in time
└── MigrationError           the files and the schema do not fit
"""


class StorageError(Exception):
    """A database cannot be used as it is."""


class DatabaseUnreachable(StorageError):
    """Nothing answers at the address."""


class MigrationError(StorageError):
    """The files and the schema do not fit; the message says which and why."""
