"""Common parts of servers and proxies: how they run, and the peers that are their clients."""
