"""References as the docstrings write them: by a public name, or by the place where a thing is defined.

A class is documented under its public name (``pyelevator.transports.Transport``) and defined elsewhere
(``pyelevator.transports.base.Transport``), which is what its annotations say. And docstrings name their neighbours
without a path (``RequestTimeout``). Both are led to the one page that has the thing; what is neither ours nor
documented in Python (zmq, typing) stays plain text.
"""

import builtins
import inspect
import re
from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.typing import stringify_annotation

from pyelevator import codec, flows
from pyelevator.arguments.data import Data
from pyelevator.client.facade import BaseClient
from pyelevator.messages import Response

FOREIGN = {
    "_pytest",
    "abc",
    "attrs",
    "click",
    "collections",
    "contextlib",
    "asyncio",
    "enum",
    "functools",
    "hypothesis",
    "logging",
    "os",
    "pathlib",
    "pytest",
    "subprocess",
    "typing",
    "zmq",
}
CLIENTS = [f"pyelevator.{name}" for name in ("Elevator", "WriteBatch", "AsyncElevator", "AsyncWriteBatch")]
"""The classes whose constructors take the options of a client."""

SEVERAL = re.compile(r"^ +[a-z]\w*(, \w+)+(?=: )")
"""Several names before one colon, in a section of a docstring."""

ALIASES = {
    stringify_annotation(alias, "smart"): f"~pyelevator.{name}"
    for name, alias in (
        ("flows.Interceptor", flows.Interceptor),
        ("flows.Forward", flows.Forward),
        ("flows.Flow", flows.Flow[Response]),
        ("arguments.data.Data", Data),
        ("codec.Reply", codec.Reply),
    )
}
"""A type as it is spelled out -> its name."""


def home(name: str) -> str | None:
    """Where the documented thing is defined."""
    module, _, rest = name.rpartition(".")
    try:
        found: Any = getattr(import_module(module), rest)
        return f"{found.__module__}.{getattr(found, '__qualname__', rest)}"
    except (ImportError, AttributeError, ValueError):
        return None


def other_names(env: BuildEnvironment) -> dict[str, str]:
    """Another name of a documented thing -> the documented one."""
    documented = env.get_domain("py").objects  # type: ignore[attr-defined]
    names: dict[str, str] = {}
    for name in documented:
        names.setdefault(name.rpartition(".")[2], name)
        names.setdefault(".".join(name.split(".")[-2:]), name)
        if (defined := home(name)) is not None:
            names.setdefault(defined, name)
    return {other: name for other, name in names.items() if other not in documented}


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement) -> nodes.Node | None:
    """A reference that Sphinx could not resolve."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    if not hasattr(env, "_other_names"):
        env._other_names = other_names(env)  # type: ignore[attr-defined]
    name = env._other_names.get(target) or env._other_names.get(home(target))  # type: ignore[attr-defined]
    if name is not None:
        domain = env.get_domain("py")
        return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], name, node, text)
    return text if is_plain(target) else None


def is_plain(target: str) -> bool:
    """Whether it names something that is real, and not documented here."""
    if target.split(".", maxsplit=1)[0] in FOREIGN or hasattr(builtins, target):
        return True
    return target.startswith("pyelevator.") and home(target) is not None


def before_napoleon(_app: Sphinx, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Keeps several names before one colon together; napoleon would take all but the last for the last one's type."""
    lines[:] = [SEVERAL.sub(lambda names: names[0].replace(", ", ","), line) for line in lines]


def whole(docstring: Any) -> list[str]:
    """The docstring of an attribute as it is; napoleon would take what stands before a colon for the type."""
    return list(docstring._consume_to_end())


def one_signature(_app: Sphinx) -> None:
    """Overloads are for type checkers; a reader wants each signature once, as it is written."""
    for module in ("elevator", "batch"):
        analyzer = ModuleAnalyzer.for_module(f"pyelevator.client.sync.{module}")
        analyzer.analyze()
        analyzer.overloads.clear()


def short_types(
    _app: Sphinx, _what: str, _name: str, _thing: Any, _options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Names for the types that have one, instead of what they stand for."""
    for spelled, name in ALIASES.items():
        signature = signature and signature.replace(spelled, name)
        returns = returns and returns.replace(spelled, name)
    return signature and without_sentinels(signature), returns


def without_sentinels(signature: str) -> str:
    """An argument that was not given is shown as ``...``: what it is then, its description says."""
    return re.sub(r"[\w.<]*UNSET[^,)\]]*", "...", re.sub(r" \| [~\w.]*\bUnset\b|[~\w.]*\bUnset \| ", "", signature))


def with_options(_app: Sphinx, what: str, name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """The clients' constructors are described where users look: under each client, and not under their common base."""
    if what == "class" and name in CLIENTS:
        described = inspect.cleandoc(BaseClient.__doc__ or "").partition("\n\nArgs:")
        lines += [*"".join(described[1:]).splitlines(), ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """The extension."""
    GoogleDocstring._parse_attribute_docstring = whole  # type: ignore[method-assign]
    app.connect("builder-inited", one_signature)
    app.connect("autodoc-process-signature", short_types)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-docstring", with_options, priority=300)
    app.connect("autodoc-process-docstring", before_napoleon, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
