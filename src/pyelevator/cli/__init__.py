"""The command line: click commands, and the processes of server and proxy."""
