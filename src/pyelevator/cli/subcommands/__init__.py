"""The subcommands that are more than one call of a client, a module each."""
