"""The processes of server and proxy: their options, signals, metrics and notifications."""
