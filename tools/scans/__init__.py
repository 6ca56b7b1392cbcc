"""Scans of what is shipped and built with: secrets, licences, code, vulnerabilities, materials."""
