"""The command line: click commands, each a thin call into the rooms above."""
