"""Messages to incoming webhooks of chats."""
