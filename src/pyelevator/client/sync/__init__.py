"""The sync client: threads share it, each with a connection of its own."""
