"""A codec of one's own: requests and answers as JSON, one object each, for a peer that has no msgpack."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from attrs import NOTHING, fields

from pyelevator import Elevator, ErrorCode, MalformedMessage, UsageError
from pyelevator.application import Application
from pyelevator.codec import Codec, Frames, Reply, UnsupportedByDialect
from pyelevator.codec.packing import check_size
from pyelevator.codec.values import error_code, malformed_arguments, reply_status, scalar, string_list
from pyelevator.commands import COMMANDS, Command, PayloadKind, Pipeline, Put, Unknown
from pyelevator.messages import Request, Response
from pyelevator.server import Server


def to_json(value: Any) -> Any:
    """Keys and values are any bytes: each byte becomes the character of its number, which JSON can hold."""
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {to_json(key): to_json(item) for key, item in value.items()}
    return value


def from_json(value: Any) -> Any:
    """What ``to_json`` wrote; strings are bytes again, and names in objects str."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        return {text(from_json(key)): from_json(item) for key, item in value.items()}
    return value


def text(data: Any) -> str:
    if isinstance(data, bytes):
        return data.decode("utf-8", "surrogateescape")
    raise MalformedMessage(f"a string was expected, not {type(data).__name__}")


def listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise MalformedMessage(f"a list was expected, not {type(value).__name__}")


def pairs(value: Any) -> Any:
    for pair in listed(value):
        if len(listed(pair)) != 2 or None in string_list(pair):
            raise MalformedMessage("the answer holds something else than keys and values")
    return value


CHECKS: Mapping[PayloadKind, Callable[[Any], Any]] = {
    PayloadKind.EMPTY: lambda _: None,
    PayloadKind.SCALAR: lambda value: scalar([value]),
    PayloadKind.LIST: lambda value: string_list(listed(value)),
    PayloadKind.PAIRS: pairs,
    PayloadKind.RAW: lambda value: string_list(listed(value)),
    PayloadKind.RESPONSES: listed,
}
"""What kind of answer a command has -> what checks that it is one, because a server may send anything."""


def number_of(message: dict[str, Any]) -> int | None:
    number = message.get("id")
    if number is None or type(number) is int:
        return number
    raise MalformedMessage(f"an id is a number, not {type(number).__name__}")


def uid_of(message: dict[str, Any]) -> str | None:
    uid = message.get("uid")
    return None if uid is None else text(uid)


class JsonCodec(Codec):
    """``{"id": 7, "uid": "...", "verb": "PUT", "args": {"key": "abc", "value": "123"}}``"""

    name = "json"

    def recognizes(self, frames: Frames) -> bool:
        return len(frames) == 1 and frames[0][:1] == b"{"

    def encode_request(self, request: Request[Any]) -> list[bytes]:
        command = request.command
        if isinstance(command, Pipeline):
            raise UnsupportedByDialect("JSON has no pipelines; the client sends their commands one by one")
        args = {attribute.name: getattr(command, attribute.name) for attribute in fields(type(command))}
        return self._write({"id": request.id, "uid": request.uid, "verb": command.verb, "args": args})

    def decode_request(self, frames: Frames) -> Request[Any]:
        message = self._read(frames)
        number = number_of(message)
        try:
            return Request(self._command(message), uid_of(message), number)
        except MalformedMessage as error:
            error.request_id = number  # so that the refusal is an answer to this request
            raise

    def _command(self, message: dict[str, Any]) -> Command[Any]:
        verb, args = message.get("verb"), message.get("args")
        if not isinstance(verb, bytes) or not isinstance(args, dict):
            raise MalformedMessage("a request has an id, a uid, a verb and args")
        kind = COMMANDS.get(text(verb), Unknown) if verb != b"PIPELINE" else Unknown
        names = {attribute.name for attribute in fields(kind)}
        needed = {attribute.name for attribute in fields(kind) if attribute.default is NOTHING}
        if not needed <= args.keys() <= names:
            raise MalformedMessage(f"the arguments of {text(verb)} are wrong", code=ErrorCode.VALUE)
        if kind is Unknown:
            string_list(listed(args.get("args", [])))  # a proxy may have to say them in another dialect
        try:
            return kind(**args)
        except UsageError as error:  # becomes a MalformedMessage with the right code
            raise malformed_arguments(text(verb), error) from error

    def encode_response(self, response: Response, request: Request[Any] | None) -> list[bytes]:
        answer = {"id": response.id, "status": int(response.status), "payload": response.payload}
        if response.code is not None:
            answer |= {"code": int(response.code), "message": response.message}
        return self._write(answer | {"more": response.more, "features": response.features})

    def open_reply(self, frames: Frames) -> Reply:
        message = self._read(frames)
        return number_of(message), lambda request: self._response(message, request.command.payload_kind)

    def _response(self, message: dict[str, Any], shape: PayloadKind) -> Response:
        number, status = number_of(message), reply_status(message.get("status"))
        if "code" in message:
            return Response.failure(error_code(message["code"]), text(message.get("message")), number)
        features = tuple([name for name in map(text, listed(message.get("features"))) if name != Pipeline.feature])
        payload = CHECKS[shape](message.get("payload"))
        return Response(payload, status, id=number, more=message.get("more") is True, features=features)

    def _write(self, message: dict[str, Any]) -> list[bytes]:
        return [json.dumps(to_json(message)).encode("ascii")]

    def _read(self, frames: Frames) -> dict[str, Any]:
        """The one object in a message. Whatever a peer sends, what comes out is a dict or a MalformedMessage."""
        check_size(sum(map(len, frames)), self.limits.frame_bytes)
        try:
            (frame,) = frames
            message = from_json(json.loads(frame))
        except (ValueError, RecursionError) as error:
            raise MalformedMessage(f"not one JSON object of Latin-1 characters: {error}") from error
        if not isinstance(message, dict):
            raise MalformedMessage(f"not a JSON object but {type(message).__name__}")
        return message


def main() -> None:
    with Server(Application.in_memory(), ["tcp://127.0.0.1:0"], codecs=[JsonCodec()]) as server:
        endpoint = server.urls[0].removeprefix("tcp://")
        with Elevator(endpoint=endpoint, dialect=JsonCodec()) as E, Elevator(endpoint=endpoint) as classic:
            E.Put("abc", "123")
            classic.Put("\u00e9", b"\x00\xff")
            print(E.MGet(["abc", "\u00e9", "nokey"]) == ["123", "\x00\udcff", None])
            print(E.Range(prefix="a"))
            try:
                E.Get("nokey")
            except KeyError as error:
                print(error)
    print(JsonCodec().encode_request(Request(Put("abc", b"\xff"), "6c66e7d0", 1))[0].decode())


if __name__ == "__main__":
    main()
