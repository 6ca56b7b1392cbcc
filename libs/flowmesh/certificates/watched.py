"""A certificate in files that may change while a process uses it."""

from flowmesh.certificates.errors import CertificateError
from flowmesh.certificates.files import Certificate, CertificateFiles


class Watched:
    """The last certificate that its files held; `generation` counts them."""

    def __init__(self, files: CertificateFiles) -> None:
        self.files = files
        self._stamp = files.stamp()
        self.now: Certificate = files.read()
        self.generation = 1

    def refresh(self) -> bool:
        """Read the files if they have changed; return whether there is another certificate.

        Raises CertificateError while they do not fit together, and keeps the present one.
        """
        stamp = self.files.stamp()
        if stamp == self._stamp:
            return False
        found = self.files.read()
        if self.files.stamp() != stamp:
            raise CertificateError(f"{self.files.certificate} is being written")
        self._stamp = stamp
        self.now = found
        self.generation += 1
        return True
