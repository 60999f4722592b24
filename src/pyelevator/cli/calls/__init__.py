"""The commands that call a server: one table, for the command line and for the shell."""
