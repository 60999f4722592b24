"""What servers and proxies have in common about the peers that are their clients; no sockets, threads or clocks."""
