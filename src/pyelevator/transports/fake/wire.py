"""The wire of a fake that has interceptors: what they raise becomes an answer, a lost one, or a corrupt one."""

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from pyelevator.application.errors import failure_response
from pyelevator.errors import ProtocolError, TransportError
from pyelevator.flows import Flow, Forward, encode_failures
from pyelevator.messages import Response
from pyelevator.protocol import IncomingRequest

_CORRUPT: Final = (b"\xc1",)
"""A message that no codec can read."""


def respond_as_flow(incoming: IncomingRequest, forward: Forward) -> Flow[Sequence[bytes]]:
    """Return the frames of the answer to a message, whose request ``forward`` carries through the interceptors.

    Raises:
        TransportError: an interceptor lost the request or its answer.
    """
    request = incoming.request
    if request is None:
        return incoming.answer(_unreachable)
    if request.context.row_sink is not None:  # interceptors read and change rows
        request = request.with_context(evolve(request.context, row_sink=None))
    try:
        response: object = yield from forward(request)
        _raise_lost(response)
    except TransportError:
        raise
    except ProtocolError:
        return _CORRUPT
    except Exception as error:  # noqa: BLE001 - every request gets an answer
        return incoming.encode(failure_response(error, request.id))
    if not isinstance(response, Response):
        wrong = TypeError(f"an interceptor answered {type(response).__name__}, not a Response")
        return incoming.encode(failure_response(wrong, request.id))
    return incoming.encode(encode_failures(request, response, failure_response))


def _raise_lost(response: object) -> None:
    """Raise what befell a command of a pipeline on its way: the pipeline is one message."""
    outcomes = response.payload if isinstance(response, Response) and isinstance(response.payload, list) else ()
    for outcome in outcomes:
        if isinstance(outcome, (TransportError, ProtocolError)):
            raise outcome


def _unreachable(_: object) -> Response:
    raise AssertionError("a message that is no request has its refusal")
