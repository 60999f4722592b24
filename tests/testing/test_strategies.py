"""The public strategies: they reach every verb of a dialect, and say what to install."""

import subprocess
import sys

import pytest
from hypothesis import Phase, find, given, settings, strategies as st

from pyelevator.codec import UnsupportedByDialect, codec_for
from pyelevator.codec.flat import ARGUMENTS
from pyelevator.commands import COMMANDS, DbConnect, Exists, Get, MGet, Range, Slice
from pyelevator.errors import ErrorCode, UsageError
from pyelevator.messages import Request, Status
from pyelevator.testing.strategies import commands, keys, requests, responses_to, values

UNSHRUNK = settings(max_examples=2000, phases=[Phase.generate])


@pytest.mark.parametrize("verb", COMMANDS)
def test_classic_commands_are_all_there_are(verb):
    find(commands(), lambda command: command.verb == verb, settings=UNSHRUNK)


@pytest.mark.parametrize("verb", [verb for verb, spec in ARGUMENTS.items() if spec.encode])
def test_flat_commands_are_all_that_flat_can_say(verb):
    find(commands("flat"), lambda command: command.verb == verb, settings=UNSHRUNK)


@given(requests("flat"))
def test_flat_requests_can_be_said(request):
    try:
        codec_for("flat").encode_request(request)
    except UnsupportedByDialect as error:
        pytest.fail(str(error))


@given(requests())
def test_a_classic_request_has_a_uid_where_it_needs_one(request):
    assert (request.uid is not None) == request.command.needs_uid


def test_keys_and_values_may_be_empty():
    assert find(keys(), lambda key: True) == b""
    assert find(values(), lambda value: True) == b""


@pytest.mark.parametrize("size", [31, 32, 255, 256])
def test_values_reach_each_size_at_which_the_wire_changes_its_form(size):
    find(values(), lambda value: len(value) == size, settings=UNSHRUNK)


@given(st.data())
def test_responses_carry_the_id_of_the_request(data):
    request = data.draw(requests())
    assert data.draw(responses_to(request)).id == request.id


@pytest.mark.parametrize("command", [Get("k"), Exists("k"), MGet(["k"]), Range("a", "b"), DbConnect("d")])
@pytest.mark.parametrize("succeeds", [True, False])
def test_responses_are_successes_and_failures(command, succeeds):
    find(responses_to(Request(command)), lambda response: (response.code is None) is succeeds, settings=UNSHRUNK)


@pytest.mark.parametrize("code", ErrorCode)
def test_failures_have_every_code(code):
    find(responses_to(Request(Get("k"))), lambda response: response.code is code, settings=UNSHRUNK)


def test_an_mget_with_a_missing_key_is_a_warning():
    response = find(responses_to(Request(MGet(["k"]))), lambda response: response.payload == [None])
    assert response.status is Status.WARNING


@given(responses_to(Request(Slice("a", 3))))
def test_a_slice_answers_no_more_than_its_count_in_the_order_of_the_keys(response):
    pairs = response.payload or []
    assert len(pairs) <= 3
    assert pairs == sorted(pairs)


def test_a_dialect_that_there_is_not_is_refused_at_once():
    with pytest.raises(UsageError, match="there is no dialect 'rest'; choose one of classic, flat"):
        commands("rest")


def test_without_hypothesis_the_import_says_what_to_install():
    script = """
import sys
sys.modules["hypothesis"] = None
import pyelevator.testing
from pyelevator.errors import MissingExtra
try:
    import pyelevator.testing.strategies
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "pyelevator.testing.strategies needs hypothesis; install it with: pip install 'pyelevator[testing]'\n"
    )
