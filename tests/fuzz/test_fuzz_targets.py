"""The short form of ``make fuzz``: the same targets on the recordings and on damaged ones, without guidance."""

import random
import sys

import pytest

from fuzz import __main__ as fuzz, targets
from fuzz.targets import ASKED, TARGETS, seeds
from pyelevator.commands import COMMANDS, Get, Ping
from pyelevator.messages import Request, Response
from pyelevator.transports.zmtp.protocol import Protocol

EACH = pytest.mark.parametrize("name", TARGETS)


@EACH
def test_the_recordings_keep_what_is_promised(name):
    inputs = list(seeds(name))
    assert len(inputs) > 40
    for data in [b"", *inputs]:
        TARGETS[name](data)


@EACH
def test_damaged_recordings_keep_what_is_promised(name):
    dice, inputs = random.Random(1), list(seeds(name))
    for _ in range(5000):
        data = bytearray(dice.choice(inputs))
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(data) + 1)
            data[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
        TARGETS[name](bytes(data))


def run_all(name):
    for data in seeds(name):
        TARGETS[name](data)


def test_a_codec_that_writes_another_request_is_found_out(monkeypatch):
    ping = targets.CLASSIC.encode_request(Request(Ping()))
    monkeypatch.setattr(targets.CLASSIC.__class__, "encode_request", lambda *_: ping)
    with pytest.raises(AssertionError):
        run_all("classic_request")


def test_a_codec_that_writes_another_response_is_found_out(monkeypatch):
    nothing = targets.FLAT.encode_response(Response(b"x"), Request(Get("k")))
    monkeypatch.setattr(targets.FLAT.__class__, "encode_response", lambda *_: nothing)
    with pytest.raises(AssertionError):
        run_all("flat_response")


def test_a_codec_that_raises_something_else_is_found_out(monkeypatch):
    monkeypatch.setattr(targets.FLAT.__class__, "_command", lambda *_: dict[str, str]()["a bug"])
    with pytest.raises(KeyError):
        TARGETS["flat_request"](next(seeds("flat_request")))


def test_a_decoder_to_which_the_pieces_make_a_difference_is_found_out(monkeypatch):
    monkeypatch.setattr(Protocol, "_fill_large", lambda self, data: data)
    monkeypatch.setattr(Protocol, "_read", lambda self, data: self.messages.append([data]) or len(data))
    with pytest.raises(AssertionError):
        run_all("zmtp_peer")


def test_replies_are_read_as_answers_to_every_kind_of_command():
    shapes = {command.payload_kind for command in COMMANDS.values() if not isinstance(command.payload_kind, property)}
    assert shapes <= {request.command.payload_kind for request in ASKED if isinstance(request, Request)}


def test_without_atheris_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert fuzz.main([]) == 1
    assert "make fuzz needs atheris, which is not installed for this Python" in capsys.readouterr().err


def test_the_corpus_starts_with_the_recordings(monkeypatch, tmp_path):
    monkeypatch.setattr(fuzz, "FOLDER", tmp_path)
    corpus = fuzz.write_corpus("flat_request")
    assert corpus == tmp_path / "flat_request"
    assert {path.read_bytes() for path in corpus.iterdir()} == set(seeds("flat_request"))
