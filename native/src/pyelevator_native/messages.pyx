# cython: language_level=3, embedsignature=True
# distutils: language = c++
"""Short messages of single calls: between a socket and its frames, and between frames and requests or answers.

Each function does what several of pyelevator's do, for the forms that nearly all messages have, and says so where a
message has another one.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_CheckExact
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.list cimport PyList_Check
from cpython.long cimport PyLong_CheckExact
from cpython.tuple cimport PyTuple_CheckExact
from cpython.unicode cimport PyUnicode_CheckExact, PyUnicode_DecodeUTF8
from libc.errno cimport EAGAIN, EBADF, EINTR, errno
from libc.stdint cimport int64_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef extern from "<string_view>" namespace "std" nogil:
    cdef cppclass string_view:
        string_view()
        string_view(const char*, size_t)
        const char* data()
        size_t size()

cdef extern from "messages.hpp" namespace "elevator" nogil:
    const size_t kArguments

    cdef cppclass Message:
        Message()
        size_t count
        string_view frames[2]

    cdef cppclass RequestParts:
        RequestParts()
        string_view prefix, uid
        uint64_t number, count
        string_view arguments[4]

    cbool split_message(const char*, size_t, Message*)
    void put_frame(string&, string_view, cbool)
    void put_number(string&, uint64_t)
    void put_string(string&, const char*, size_t, cbool)
    void put_array(string&, size_t)
    cbool c_read_request "elevator::read_request"(const char*, size_t, string_view, RequestParts*)
    cbool c_read_value "elevator::read_value"(string_view, string_view, string_view*)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int, void*, size_t, int)
    ssize_t send(int, const void*, size_t, int)
    int MSG_DONTWAIT, MSG_NOSIGNAL

cdef extern from "<poll.h>" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int POLLIN
    int poll(pollfd*, unsigned long, int)

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) except NULL
    uint64_t PyLong_AsUnsignedLongLong(object) except? 0xffffffffffffffff
    long PyLong_AsLongAndOverflow(object, int*) except? -1

cdef enum:
    LARGE = 65536
    DEPTH = 6  # of the operations of a batch in a pipeline


cdef inline string_view _view(bytes data):
    return string_view(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef inline bytes _bytes(string_view found):
    return PyBytes_FromStringAndSize(found.data(), found.size())


# Sockets. They never block, and what does not wait keeps Python's lock: another thread would take it for milliseconds.


cdef class TrafficCounter:
    """Counts the bytes of connections.

    Attributes:
        received, queued, sent, dropped, partly_sent, read_at: see pyelevator's class of this name.
    """

    cdef public int64_t received, queued, sent, dropped, partly_sent
    cdef public double read_at


def receive(int descriptor, TrafficCounter counter=None):
    """Read what is there, up to 64 KiB.

    Args:
        descriptor: of a socket.
        counter: counts the bytes.

    Returns:
        The frames of a message of one or two frames, if that is all there is; else the bytes; None if there is nothing.

    Raises:
        OSError: the connection has failed.
    """
    cdef char buffer[LARGE]
    cdef ssize_t size
    while True:
        size = recv(descriptor, buffer, LARGE, MSG_DONTWAIT)
        if size >= 0:
            if counter is not None:
                counter.received += size
                counter.read_at = _now()
            return _received(buffer, size)
        if errno == EINTR:
            PyErr_CheckSignals()
        elif errno == EAGAIN:
            return None
        else:
            PyErr_SetFromErrno(OSError)


cdef _received(const char* data, size_t size):
    cdef Message message
    if not split_message(data, size, &message):
        return PyBytes_FromStringAndSize(data, size)
    if message.count == 1:
        return [_bytes(message.frames[0])]
    return [_bytes(message.frames[0]), _bytes(message.frames[1])]


def receive_within(int descriptor, double seconds):
    """Do the same, and wait for as long until there is something, while other threads have Python."""
    cdef pollfd waiting
    seconds = max(0.0, seconds)
    cdef double end = _now() + seconds
    cdef int events, milliseconds
    if descriptor < 0:  # for which poll would wait
        raise OSError(EBADF, "the socket is closed")
    waiting.fd, waiting.events = descriptor, POLLIN
    while True:
        milliseconds = <int>(seconds * 1000) + 1
        with nogil:
            events = poll(&waiting, 1, milliseconds)
        if events > 0:
            found = receive(descriptor)
            if found is not None:
                return found
        elif events < 0 and errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()
        seconds = end - _now()
        if seconds <= 0:
            return None


cdef inline double _now() noexcept:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec / 1e9


def send_frames(int descriptor, frames, TrafficCounter counter=None):
    """Send a message without waiting.

    Args:
        descriptor: of a socket.
        frames: of the message, which are bytes.
        counter: counts the bytes.

    Returns:
        The number of bytes that were sent, and what is left to send; None if the message is too large or no list of
        bytes, and nothing was sent.

    Raises:
        OSError: the connection has failed, and nothing was sent.
    """
    cdef string message
    cdef ssize_t sent
    cdef Py_ssize_t index, last = len(frames) - 1
    for index in range(last + 1):
        frame = frames[index]
        if not PyBytes_CheckExact(frame) or message.size() + PyBytes_GET_SIZE(frame) > LARGE:
            return None
        put_frame(message, _view(frame), index < last)
    sent = send(descriptor, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
    if sent < 0:
        if errno != EAGAIN and errno != EINTR:
            PyErr_SetFromErrno(OSError)
        sent = 0
    if counter is not None:
        counter.queued += <int64_t>message.size()
        counter.sent += sent
    return sent, PyBytes_FromStringAndSize(message.data() + sent, message.size() - sent)


# Requests and answers


def read_request(bytes frame not None, bytes meta not None):
    """Read a request whose arguments are a few strings.

    Args:
        frame: the request.
        meta: what its meta begins with, up to its id.

    Returns:
        What it begins with, up to its meta, its id, its database and its arguments; None if it is anything else.
    """
    cdef RequestParts parts
    if not c_read_request(PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), _view(meta), &parts):
        return None
    cdef list arguments = [_bytes(parts.arguments[index]) for index in range(parts.count)]
    uid = PyUnicode_DecodeUTF8(parts.uid.data(), parts.uid.size(), "surrogateescape")
    return _bytes(parts.prefix), parts.number, uid, arguments


def write_request(bytes prefix not None, number, uid, arguments):
    """Write a request.

    Args:
        prefix: what it begins with, up to its id.
        number: its id.
        uid: its database; None for none.
        arguments: bytes, ASCII text, numbers below 128, booleans, None, and lists, tuples and short dicts of these.

    Returns:
        The frame; None if an argument is of another kind.
    """
    cdef string out
    cdef Py_ssize_t size
    cdef const char* text
    if not PyLong_CheckExact(number) or number < 0 or len(arguments) > 15:
        return None
    out.append(PyBytes_AS_STRING(prefix), PyBytes_GET_SIZE(prefix))
    put_number(out, PyLong_AsUnsignedLongLong(number))
    out.append(b"\xa3uid", 4)
    if uid is None:
        out.push_back(b"\xc0")
    else:
        if not PyUnicode_CheckExact(uid) or not uid.isascii():
            return None
        text = PyUnicode_AsUTF8AndSize(uid, &size)
        put_string(out, text, size, False)
    out.append(b"\xa4args", 5)
    put_array(out, len(arguments))
    for argument in arguments:
        if not _put_value(out, argument, DEPTH):
            return None
    return PyBytes_FromStringAndSize(out.data(), out.size())


cdef bint _put_value(string& out, value, int depth) except -1:
    """Write what ``write_request`` takes, within so many arrays and maps; False if it is anything else."""
    cdef int overflow = 0
    cdef long number
    cdef Py_ssize_t size
    cdef const char* text
    if PyBytes_CheckExact(value):
        put_string(out, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), False)
    elif PyLong_CheckExact(value):
        number = PyLong_AsLongAndOverflow(value, &overflow)
        if overflow or number < 0 or number > 127:
            return False
        out.push_back(<char>number)
    elif depth and PyTuple_CheckExact(value):
        put_array(out, len(<tuple>value))
        for item in <tuple>value:
            if not _put_value(out, item, depth - 1):
                return False
    elif depth and PyList_Check(value):
        put_array(out, len(<list>value))
        for item in <list>value:
            if not _put_value(out, item, depth - 1):
                return False
    elif value is None:
        out.push_back(<char>0xc0)
    elif value is True or value is False:
        out.push_back(<char>(0xc3 if value is True else 0xc2))
    elif PyUnicode_CheckExact(value) and value.isascii():
        text = PyUnicode_AsUTF8AndSize(value, &size)
        put_string(out, text, size, False)
    elif depth and PyDict_CheckExact(value) and len(<dict>value) < 16:
        out.push_back(<char>(0x80 | len(<dict>value)))
        for name, item in (<dict>value).items():
            if not (_put_value(out, name, 0) and _put_value(out, item, depth - 1)):
                return False
    else:
        return False
    return True


def write_answer(bytes header not None, number, bytes prefix not None, bytes value not None):
    """Return the frames of an answer that is one value.

    Args:
        header: what its header begins with, up to its id.
        number: its id, below 2**64.
        prefix: what its content begins with, up to the value.
        value: bytes.
    """
    cdef string out
    out.append(PyBytes_AS_STRING(header), PyBytes_GET_SIZE(header))
    put_number(out, PyLong_AsUnsignedLongLong(number))
    first = PyBytes_FromStringAndSize(out.data(), out.size())
    out.clear()
    out.append(PyBytes_AS_STRING(prefix), PyBytes_GET_SIZE(prefix))
    put_string(out, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), False)
    return [first, PyBytes_FromStringAndSize(out.data(), out.size())]


def read_answer(frames, bytes header not None, number, bytes prefix not None):
    """Return the value of an answer; None if it is another answer, or another value than one string.

    Args:
        frames: two, of bytes.
        header, number, prefix: as of ``write_answer``.
    """
    cdef string expected
    cdef string_view found
    if not (PyBytes_CheckExact(frames[0]) and PyBytes_CheckExact(frames[1])):
        return None
    expected.append(PyBytes_AS_STRING(header), PyBytes_GET_SIZE(header))
    put_number(expected, PyLong_AsUnsignedLongLong(number))
    cdef string_view sent = _view(frames[0])
    if sent.size() != expected.size() or expected.compare(0, expected.size(), sent.data(), sent.size()) != 0:
        return None
    return _bytes(found) if c_read_value(_view(frames[1]), _view(prefix), &found) else None
