"""Records: small classes of this package's own that are made anew for each call, and seen by nobody else.

attrs makes a class frozen by refusing assignment, and its ``__init__`` then has to go around the refusal, which costs
0.1 µs for each field. So type checkers see :func:`attrs.frozen`, and refuse what assigns to a field; at run time the
class is as its fields make it (slots, equality, hash), and nobody looks. What callers make, hold or pass on (commands,
requests, responses, policies, options) is frozen at run time too.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as record
else:
    from functools import partial

    from attrs import define

    record = partial(define, unsafe_hash=True)

__all__ = ["record"]
