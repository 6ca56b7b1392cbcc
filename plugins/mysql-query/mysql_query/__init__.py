"""Statements for MySQL and MariaDB."""
