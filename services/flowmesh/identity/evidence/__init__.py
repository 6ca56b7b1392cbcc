"""What an auditor asks for, collected as files."""
