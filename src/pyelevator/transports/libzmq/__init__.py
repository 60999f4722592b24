"""ZMTP by libzmq: a listener for systems without epoll."""
