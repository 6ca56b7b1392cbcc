"""Errors while a database is opened; queries of services raise the errors of the driver.

StorageError             the message is one line with a remedy
├── DatabaseUnreachable      no response from the address in time
└── MigrationError           the files do not match the schema
"""


class StorageError(Exception):
    """The database cannot be used."""


class DatabaseUnreachable(StorageError):
    """No response from the address."""


class MigrationError(StorageError):
    """The files do not match the schema; the message names the file and the reason."""
