"""The one error of certificates."""


class CertificateError(ValueError):
    """A certificate, its key or its authority is missing, malformed, or does not fit."""
