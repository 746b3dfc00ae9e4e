"""The connection of a request's client."""

import socket

_ESTABLISHED = 1  # in Linux's tcp_states.h


def is_closed(connection: socket.socket) -> bool:
    """Return whether the client has closed or reset its TCP connection. Only Linux says so; False elsewhere.

    Reading from the socket would not tell: there may be unread data, and we end reading ourselves after a time.
    """
    if not hasattr(socket, "TCP_INFO"):
        return False
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
    except OSError:
        return True
