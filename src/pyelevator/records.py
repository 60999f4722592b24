"""Records: the frozen classes that are made anew for each call.

attrs makes a class frozen by refusing assignment, and its ``__init__`` then has to go around the refusal: 0.1 µs for
each field, and for the eight such objects of one Get more than a third of its time. So type checkers see
:func:`attrs.frozen`, and refuse what assigns to a field; at run time the class is as its fields make it (slots,
equality, hash), and nobody looks. For what callers make, hold and pass on (commands, policies, options),
:func:`attrs.frozen` itself is right.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as record
else:
    from functools import partial

    from attrs import define

    record = partial(define, unsafe_hash=True)

__all__ = ["record"]
