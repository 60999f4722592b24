"""Options of constructors stand once, with types and defaults, and tools see them."""

import inspect
import re
from typing import Annotated, TypedDict, Unpack

import pytest
from attrs import fields

from pyelevator import AsyncElevator, AsyncWriteBatch, Elevator, WriteBatch
from pyelevator._options import Default, complete, defaults_of, part_of, signature_from
from pyelevator.application import Application, Policy
from pyelevator.client.options import ClientOptions
from pyelevator.config import ProxySettings, ServerSettings, proxy_settings
from pyelevator.proxy import Core, Proxy, Upstream
from pyelevator.server import Server, ServerLimits
from pyelevator.transports import IpcTransport, TcpTransport, url
from pyelevator.transports.sockets.listener.listener import ZmtpListener


class Narrow(TypedDict, total=False):
    width: Annotated[int, Default(7)]


class Wide(Narrow, total=False):
    owner: Annotated["Elevator[str] | None", Default(None)]


class Window:
    @signature_from(Wide)
    def __init__(self, place: str, **options: Unpack[Wide]) -> None:
        self.place, self.options = place, complete(Wide, options, type(self))


def test_what_is_not_given_has_its_default():
    assert Window("north", width=9).options == {"width": 9, "owner": None}
    assert defaults_of(Wide) == {"width": 7, "owner": None}


def test_another_constructor_gets_its_own_options():
    assert part_of(Narrow, Window("north", width=9).options) == {"width": 9}


def test_tools_show_each_option_with_type_and_default():
    shown = "(place: str, *, width: int = 7, owner: 'Elevator[str] | None' = None) -> None"
    assert str(inspect.signature(Window)) == shown


CONSTRUCTED = {
    Elevator: (),
    AsyncElevator: (),
    WriteBatch: (),
    AsyncWriteBatch: (),
    TcpTransport: (),
    IpcTransport: ("/socket",),
    Server: (None, ()),
    Proxy: ((), "tcp://127.0.0.1:1"),
    Core: ((),),
    ZmtpListener: (),
}


@pytest.mark.parametrize("kind", CONSTRUCTED, ids=lambda kind: kind.__name__)
def test_an_option_that_there_is_not_is_a_type_error(kind):
    with pytest.raises(TypeError) as caught:
        kind(*CONSTRUCTED[kind], nonsense=1)
    assert str(caught.value) == f"{kind.__name__}.__init__() got an unexpected keyword argument 'nonsense'"


@pytest.mark.parametrize("kind", CONSTRUCTED, ids=lambda kind: kind.__name__)
def test_a_constructor_s_signature_names_all_options(kind):
    parameters = inspect.signature(kind).parameters.values()
    assert [each for each in parameters if each.kind is inspect.Parameter.VAR_KEYWORD] == []
    keywords = {each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}
    assert keywords & {"ipc_mode", "heartbeat", "timeout"} != set()


@pytest.mark.parametrize("kind", [Elevator, Server, Proxy, Core, TcpTransport], ids=lambda kind: kind.__name__)
def test_the_documentation_of_a_class_names_each_option(kind):
    documentation = "\n".join(each.__doc__ or "" for each in kind.__mro__)
    names = inspect.signature(kind).parameters
    assert [name for name in names if not re.search(rf"^\s+(\w+, )?{name}:", documentation, re.MULTILINE)] == []


def test_settings_have_the_defaults_of_constructors():
    server, proxy = inspect.signature(Server).parameters, inspect.signature(Proxy).parameters
    settings, others = ServerSettings(), ProxySettings()
    assert (settings.workers, settings.ipc_mode) == (server["workers"].default, server["ipc_mode"].default)
    assert (settings.max_unread, settings.max_connections) == (
        ServerLimits().max_unsent_bytes,
        ServerLimits().max_connections,
    )
    assert (others.timeout, others.max_unread) == (proxy["timeout"].default, proxy["unread"].default)


def test_a_server_takes_none_for_its_limits():
    with Server(Application.in_memory(), ["tcp://127.0.0.1:0"], limits=None, server_limits=None) as server:
        assert server.urls


def test_what_a_url_or_a_file_may_say_are_options_of_constructors():
    keys = {"curve_key", "server_key"}
    assert {keyword for keyword, _ in url._OPTIONS.values()} - keys - set(defaults_of(ClientOptions)) == set()
    assert proxy_settings._UPSTREAM.readers.keys() - keys - set(inspect.signature(Upstream).parameters) == set()
    assert {each.name for each in fields(Policy)} - {each.name for each in fields(ServerSettings)} == set()


def test_help_shows_no_internal_default():
    for method in (Elevator, AsyncElevator, AsyncElevator.Get, Elevator.Get):
        assert "UNSET" not in str(inspect.signature(method)).replace("Unset | ", "")
        assert "= ..." in str(inspect.signature(method))
