"""Waiting for descriptors: for one, or for many with sockets of libzmq among them."""
