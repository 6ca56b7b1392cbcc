"""E-mails by SMTP."""
