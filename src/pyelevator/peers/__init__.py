"""Common parts of servers and proxies about the peers that are their clients; no sockets, threads or clocks."""
