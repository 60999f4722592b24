# cython: language_level=3, embedsignature=True
# distutils: language = c++
"""Pages of pairs to lists of lists, and checks of long arrays, without an object for each value in between."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint64_t
from libcpp cimport bool as cbool

cdef extern from "<string_view>" namespace "std" nogil:
    cdef cppclass string_view:
        string_view()
        string_view(const char*, size_t)
        const char* data()
        size_t size()

cdef extern from "msgpack.hpp" namespace "elevator" nogil:
    cdef cppclass Reader:
        Reader(const char*, size_t)
        cbool string(string_view*, cbool)
        cbool array(uint64_t*)
        cbool exactly(string_view)
        cbool done()
        size_t left()

    cbool c_are_operations "elevator::are_operations"(const char*, size_t, uint64_t)
    cbool c_are_strings "elevator::are_strings"(const char*, size_t, uint64_t)

cdef string_view _PREFIX = string_view(b"\x81\xa5datas", 7)

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(object)


cdef class _Buffer:
    cdef Py_buffer held
    cdef bint is_held

    def __cinit__(self, data):
        PyObject_GetBuffer(data, &self.held, PyBUF_SIMPLE)
        self.is_held = True

    def __dealloc__(self):
        if self.is_held:
            PyBuffer_Release(&self.held)


cdef inline object _item(string_view found, bint texts):
    if texts:
        return PyUnicode_DecodeUTF8(found.data(), found.size(), "surrogateescape")
    return PyBytes_FromStringAndSize(found.data(), found.size())


def decode_page(content, uint64_t count, bint texts):
    """Return the pairs of a page as lists of two.

    Args:
        content: the frame.
        count: how many pairs there have to be.
        texts: keys and values are str; else bytes.

    Returns:
        None if the frame holds anything else than a page with so many pairs.
    """
    cdef _Buffer held = _Buffer(content)
    cdef Reader* reader = new Reader(<const char*>held.held.buf, held.held.len)
    cdef uint64_t found = 0
    try:
        if not reader.exactly(_PREFIX) or not reader.array(&found) or found != 2 * count or found > reader.left():
            return None
        return _pairs(reader, count, texts)
    finally:
        del reader


cdef list _pairs(Reader* reader, uint64_t count, bint texts):
    cdef list pairs = PyList_New(count)
    cdef list pair
    cdef uint64_t index
    for index in range(count):
        pair = PyList_New(2)
        Py_INCREF(pair)
        PyList_SET_ITEM(pairs, index, pair)
        if not (_put(pair, 0, reader, texts) and _put(pair, 1, reader, texts)):
            return None
        PyObject_GC_UnTrack(pair)  # strings make no cycles, and to look for some among them takes as long as all this
    return pairs if reader.done() else None


cdef bint _put(list pair, int place, Reader* reader, bint texts) except -1:
    """Put the next string into a pair; False if there is none."""
    cdef string_view found
    if not reader.string(&found, texts):
        return False
    item = _item(found, texts)
    Py_INCREF(item)
    PyList_SET_ITEM(pair, place, item)
    return True


def are_operations(data, uint64_t count):
    """Return whether the bytes are exactly so many operations of a batch."""
    cdef _Buffer held = _Buffer(data)
    cdef cbool sound
    with nogil:
        sound = c_are_operations(<const char*>held.held.buf, held.held.len, count)
    return sound


def are_strings(data, uint64_t count):
    """Return whether the bytes are exactly so many strings."""
    cdef _Buffer held = _Buffer(data)
    cdef cbool sound
    with nogil:
        sound = c_are_strings(<const char*>held.held.buf, held.held.len, count)
    return sound
