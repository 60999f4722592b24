"""Transports: what carries whole messages between a client and a server."""

from pyelevator.transports.base import Transport
from pyelevator.transports.curve import Curve
from pyelevator.transports.endpoint import Target, parse_url
from pyelevator.transports.fake import FakeTransport
from pyelevator.transports.lanes import IpcTransport, TcpTransport
from pyelevator.transports.zmq import Listener

__all__ = ["Curve", "FakeTransport", "IpcTransport", "Listener", "Target", "TcpTransport", "Transport", "parse_url"]
