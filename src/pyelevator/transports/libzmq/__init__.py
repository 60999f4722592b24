"""ZMTP by libzmq: a listener for systems without epoll, and a DEALER to compare with."""
