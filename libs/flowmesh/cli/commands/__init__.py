"""The commands by name: the table, its spellings, and the help of groups; nothing heavy."""
