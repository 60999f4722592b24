"""``elevator shell``: a prompt for the commands that call a server."""
