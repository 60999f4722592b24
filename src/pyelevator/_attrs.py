"""The flavours of attrs classes: what is made for each call is made quickly. Type checkers see frozen classes only.

=============  ================================================================================================
``frozen``     of attrs itself: what callers make and hold (policies, options, reports). Nothing is saved there.
``command``    The same without ``__eq__``, ``__hash__`` and ``__repr__``, which the base class has for all of
               them. attrs would write these methods again for each class, at every import. A converter with two
               parameters gets the name of its field as well, for its errors.
``message``    Frozen, with a ``__dict__`` that holds only what differs from the defaults. Several are made for
               each call, and nearly all of them have two or three fields that say something.
``hot_value``  Small values of this package's own that are made for each call and seen by nothing else. They are
               frozen for type checkers only: going around the refusal of assignment would cost 0.1 µs a field.
=============  ================================================================================================
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as command, frozen as hot_value, frozen as message
else:
    from functools import partial
    from types import FunctionType

    from attrs import NOTHING, define, fields, frozen

    def name_arguments(_, fields):
        """Give each field a copy of its converter whose second parameter, if there is one, has the field's name."""
        return [each if each.inherited or not each.converter else _with_name(each) for each in fields]

    def _with_name(field):
        converter = field.converter
        if not converter.__defaults__:
            return field
        copy = FunctionType(converter.__code__, converter.__globals__, converter.__name__, (field.name,))
        copy.__annotations__ = converter.__annotations__
        return field.evolve(converter=copy)

    hot_value = partial(define, unsafe_hash=True)
    command = partial(frozen, eq=False, repr=False, field_transformer=name_arguments)

    def message(cls):
        """Make the class a message. All instances share the defaults, so none of them may be a factory."""
        cls = frozen(cls, slots=False)
        for each in fields(cls):
            if each.default is not NOTHING:
                setattr(cls, each.name, each.default)
        return cls


__all__ = ["command", "hot_value", "message"]
