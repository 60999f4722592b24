"""Records how libzmq speaks CurveZMQ with us, both ways, into curve.json: ``python tests/vectors/record_curve.py``.

Our half is not random, so that a test can replay it to the byte; the keys are those of libzmq's manual.
"""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from pyelevator.transports.curve import Curve, KeyPair
from pyelevator.transports.zmtp.curvezmq import CurveClientMechanism, CurveServerMechanism
from pyelevator.transports.zmtp.handshake import ClientHandshake, ServerHandshake
from pyelevator.transports.zmtp.protocol import Protocol, Role

CLIENT = KeyPair("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs")
SERVER = KeyPair("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6")
KEYS = Curve(SERVER.public_key, CLIENT.public_key, CLIENT.secret_key)
MESSAGES = [["one"], ["two", "", "frames" * 60]]
SESSIONS = Path(__file__).with_name("curve.json")


def counted(first: int) -> Callable[[int], bytes]:
    """What is random in a connection, known in advance: so many bytes of ``first``, of the next number..."""
    numbers = iter(range(first, 256))
    return lambda size: bytes([next(numbers)]) * size


def _server_mechanism(allows: Callable[[str], bool] = lambda key: key == CLIENT.public_key) -> CurveServerMechanism:
    return CurveServerMechanism(SERVER.secret_key, allows, counted(100))


def our_client() -> ClientHandshake:
    return ClientHandshake(CurveClientMechanism(KEYS, counted(1)))


def our_server(allows: Callable[[str], bool] = lambda key: key == CLIENT.public_key) -> ServerHandshake:
    return ServerHandshake(_server_mechanism(allows))


def connection(role: Role, max_message: int = 1 << 20) -> Protocol:
    """Our side of a connection with keys."""
    mechanism = _server_mechanism() if role is Role.SERVER else CurveClientMechanism(KEYS, counted(1))
    return Protocol(role, mechanism, max_message)


def session(stream: socket.socket, side: Protocol, talk: Callable[[], None]) -> dict[str, Any]:
    """The handshake step by step, and what the peer's messages look like behind it."""
    theirs, ours, then = [], [side.data_to_send()], b""
    stream.sendall(ours[0])
    while not side.is_established:
        theirs.append(stream.recv(1 << 16))
        side.receive_data(theirs[-1])
        ours.append(side.data_to_send())
        stream.sendall(ours[-1])
    talk()
    while len(side.messages) < len(MESSAGES):
        side.receive_data(data := stream.recv(1 << 16))
        then += data
    return {
        "libzmq": zmq.zmq_version(),
        "theirs": [data.hex() for data in theirs],
        "ours": [data.hex() for data in ours],
        "then": then.hex(),
        "messages": [[frame.decode() for frame in message] for message in side.messages],
    }


def of_their_client(context: "zmq.Context[Any]") -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", 0)) as listener, context.socket(zmq.DEALER) as dealer:
        dealer.set(zmq.LINGER, 0)
        dealer.curve_serverkey = KEYS.server_public_key.encode()
        dealer.curve_publickey, dealer.curve_secretkey = KEYS.public_key.encode(), KEYS.secret_key.encode()
        dealer.connect(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        with listener.accept()[0] as stream:
            return session(stream, connection(Role.SERVER), lambda: send(dealer))


def of_their_server(context: "zmq.Context[Any]") -> dict[str, Any]:
    with context.socket(zmq.ROUTER) as router, socket.socket() as stream:
        router.set(zmq.LINGER, 0)
        router.curve_server, router.curve_secretkey = True, SERVER.secret_key.encode()
        stream.connect(("127.0.0.1", router.bind_to_random_port("tcp://127.0.0.1")))
        side = connection(Role.CLIENT)

        def talk() -> None:
            for chunk in side.encode_message([b"question"]):
                stream.sendall(chunk)
            identity, question = router.recv_multipart()
            assert question == b"question"
            send(router, identity)

        return session(stream, side, talk)


def send(sender: Any, *before: bytes) -> None:
    for message in MESSAGES:
        sender.send_multipart([*before, *[frame.encode() for frame in message]])


if __name__ == "__main__":
    with zmq.Context() as ours:
        found = {"libzmq's client": [of_their_client(ours)], "libzmq's server": [of_their_server(ours)]}
    SESSIONS.write_text(json.dumps(found, indent=1) + "\n")
