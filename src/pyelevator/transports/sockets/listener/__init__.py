"""The listener of servers over the sockets of the system: what accepts connections, and one peer of it."""
