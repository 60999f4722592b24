# cython: language_level=3, embedsignature=True
# distutils: language = c++
"""LevelDB for pyelevator's engine: the calls of plyvel that it makes, and whole pieces of work without Python's lock.

Names and arguments are plyvel's where there is the same thing in plyvel. What is beyond that reads and writes msgpack
(see ``database.hpp``).
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.optional cimport make_optional, optional
from libcpp.string cimport string
from libcpp.utility cimport move
from libcpp.vector cimport vector


class Error(Exception):
    """LevelDB failed; the text is its own."""


class CorruptionError(Error):
    """What it read is damaged."""


class IOError(Error, OSError):
    """The file system refused, or a file is missing."""

    def __str__(self):
        return str(self.args[0])


cdef extern from "<string_view>" namespace "std" nogil:
    cdef cppclass string_view:
        string_view()
        string_view(const char*, size_t)
        const char* data()
        size_t size()

cdef extern from "leveldb/options.h" namespace "leveldb" nogil:
    cdef cppclass Options:
        cbool create_if_missing, error_if_exists, paranoid_checks
        size_t write_buffer_size, block_size, max_file_size
        int max_open_files, block_restart_interval
        int compression

cdef extern from "leveldb/write_batch.h" namespace "leveldb" nogil:
    cdef cppclass CWriteBatch "leveldb::WriteBatch":
        CWriteBatch()
        void Put(const Slice&, const Slice&)
        void Delete(const Slice&)
        void Clear()

cdef extern from "leveldb/slice.h" namespace "leveldb" nogil:
    cdef cppclass Slice:
        Slice(const char*, size_t)

cdef extern from "raising.hpp" nogil:
    void raise_failure()

cdef extern from "database.hpp" namespace "elevator" nogil:
    cdef cppclass CDatabase "elevator::Database":
        CDatabase(const string&, Options, size_t, int) except +raise_failure
        cbool closed()
        void close()
        void write(CWriteBatch*, cbool) except +raise_failure

    cdef cppclass CSnapshot "elevator::Snapshot":
        CSnapshot(shared_ptr[CDatabase]) except +raise_failure
        void close()

    cdef cppclass ReadOptions:
        cbool fill_cache, verify

    cdef cppclass Source:
        Source()
        shared_ptr[CDatabase] database
        shared_ptr[CSnapshot] snapshot

    cdef cppclass CBounds "elevator::Bounds":
        optional[string] start, stop
        cbool include_stop, reverse

    cdef cppclass Layout:
        cbool key, value, flat, bin

    cdef cppclass Packed:
        string data
        size_t last_at, last_size, count, size

    cdef cppclass CScan "elevator::Scan":
        CScan(const Source&, CBounds, const ReadOptions&) except +raise_failure
        cbool at_end()
        void close()

    cdef cppclass Row:
        size_t key_size, value_size

    cdef cppclass Values:
        string data
        size_t count, missing, size
        cbool over, by_points

    cdef cppclass MultiGet:
        MultiGet(const Source&, const ReadOptions&, vector[string_view], Py_ssize_t) except +raise_failure
        void read(const Source&, const ReadOptions&, size_t, Values*) except +raise_failure
        void write(cbool, Values*) except +raise_failure
        size_t count()
        cbool exists(size_t)
        string_view value(size_t)

    cbool c_get "elevator::get"(const Source&, string_view, const ReadOptions&, string*) except +raise_failure
    void pack_rows(CScan&, const Layout&, size_t, size_t, Packed*) except +raise_failure
    void take_rows(CScan&, const Layout&, size_t, size_t, Packed*, vector[Row]*) except +raise_failure
    size_t count_rows(CScan&, size_t) except +raise_failure
    cbool read_strings(const char*, size_t, size_t, vector[string_view]*) except +
    cbool read_operations(const char*, size_t, size_t, CWriteBatch*) except +

cdef extern from "administration.hpp" namespace "elevator" nogil:
    cbool get_property(CDatabase&, const string&, string*) except +raise_failure
    uint64_t approximate_size(CDatabase&, string_view, string_view) except +raise_failure
    void compact(CDatabase&, const optional[string]&, const optional[string]&) except +raise_failure
    void repair(const string&, const Options&) except +raise_failure
    void destroy(const string&) except +raise_failure
    string version()

LEVELDB_VERSION = version().decode()


cdef Options _options(dict given) except *:
    cdef Options options
    options.create_if_missing = given.pop("create_if_missing", False)
    options.error_if_exists = given.pop("error_if_exists", False)
    options.paranoid_checks = given.pop("paranoid_checks", False)
    for name in ("write_buffer_size", "block_size", "max_file_size", "max_open_files", "block_restart_interval"):
        value = given.pop(name, None)
        if value is None:
            continue
        if name == "write_buffer_size":
            options.write_buffer_size = value
        elif name == "block_size":
            options.block_size = value
        elif name == "max_file_size":
            options.max_file_size = value
        elif name == "max_open_files":
            options.max_open_files = value
        else:
            options.block_restart_interval = value
    compression = given.pop("compression", "snappy")
    if compression not in (None, "snappy"):
        raise ValueError(f"compression must be 'snappy' or None, not {compression!r}")
    set_compression(options, compression == "snappy")
    return options


cdef extern from "administration.hpp" namespace "elevator" nogil:
    void set_compression(Options&, cbool)


cdef ReadOptions _read_options(bint verify_checksums, bint fill_cache):
    cdef ReadOptions options
    options.verify = verify_checksums
    options.fill_cache = fill_cache
    return options


cdef optional[string] _key(object key) except *:
    cdef optional[string] found
    if key is not None:
        found = make_optional[string](<string>key)
    return found


cdef inline string_view _view(bytes data):
    return string_view(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef class _Buffer:
    """The bytes of an object, for as long as this one exists."""

    cdef Py_buffer held
    cdef bint is_held

    def __cinit__(self, data):
        PyObject_GetBuffer(data, &self.held, PyBUF_SIMPLE)
        self.is_held = True

    def __dealloc__(self):
        if self.is_held:
            PyBuffer_Release(&self.held)


cdef class _View:
    """What a database and a snapshot share."""

    cdef Source source

    def get(self, bytes key not None, *, bint verify_checksums=False, bint fill_cache=True):
        """Return the value of a key, None if there is none."""
        cdef string value
        cdef cbool found
        cdef string_view wanted = _view(key)
        cdef ReadOptions options = _read_options(verify_checksums, fill_cache)
        with nogil:
            found = c_get(self.source, wanted, options, &value)
        return PyBytes_FromStringAndSize(value.data(), value.size()) if found else None

    def scan(
        self, *, start=None, stop=None, bint include_stop=True, bint include_key=True, bint include_value=True,
        bint reverse=False, bint verify_checksums=False, bint fill_cache=True
    ):
        """Return the rows between two keys, as they are at this moment."""
        return Scan(self, start, stop, include_stop, include_key, include_value, reverse, verify_checksums, fill_cache)

    def packed_values(
        self, keys, size_t count, *, bint bin, size_t max_bytes, Py_ssize_t max_gap, bint verify_checksums=False,
        bint fill_cache=False
    ):
        """Return the packed values of packed keys, in their order.

        Args:
            keys: so many strings of msgpack, next to one another; or a list of bytes.
            count: how many.
            bin: write values as msgpack's bin.
            max_bytes: of the values.
            max_gap: bytes of files from one key to the next up to which one iterator seeks them all.

        Returns:
            The bytes, how many values are missing, and whether they were read one by one. None in place of the bytes
            if there are more than ``max_bytes``.

        Raises:
            ValueError: the keys are something else.
        """
        cdef _Buffer held = None if isinstance(keys, list) else _Buffer(keys)
        cdef list kept
        cdef vector[string_view] wanted
        cdef Values values
        cdef unique_ptr[MultiGet] reading
        cdef cbool sound = True
        cdef ReadOptions options = _read_options(verify_checksums, fill_cache)
        if held is None:
            kept = _keep(keys, &wanted)
        with nogil:
            if held is not None:
                sound = read_strings(<const char*>held.held.buf, held.held.len, count, &wanted)
            if sound:
                reading.reset(new MultiGet(self.source, options, move(wanted), max_gap))
                reading.get().read(self.source, options, max_bytes, &values)
                reading.get().write(bin, &values)
                reading.reset()
        if not sound:
            raise ValueError("the keys are not so many strings")
        cdef Chunk data = None
        if not values.over:
            data = Chunk()
            data.data.swap(values.data)
        return data, values.missing, values.by_points

    def multi_get(
        self, list keys not None, *, size_t max_bytes, Py_ssize_t max_gap, bint verify_checksums=False,
        bint fill_cache=True
    ):
        """Return the values of keys, in their order, None for those that are missing.

        Args:
            keys: bytes, in any order.
            max_bytes, max_gap: as of ``packed_values``.

        Returns:
            The values, and whether they were read one by one. None in their place if there are more than ``max_bytes``.
        """
        cdef vector[string_view] wanted
        cdef Values values
        cdef unique_ptr[MultiGet] reading
        cdef ReadOptions options = _read_options(verify_checksums, fill_cache)
        cdef list held = _keep(keys, &wanted)
        with nogil:
            reading.reset(new MultiGet(self.source, options, move(wanted), max_gap))
            reading.get().read(self.source, options, max_bytes, &values)
        if values.over:
            return None, values.by_points
        return [_value(reading.get(), index) for index in range(reading.get().count())], values.by_points


cdef list _keep(list keys, vector[string_view]* views):
    """Return a list that keeps the keys alive while their bytes are looked at."""
    cdef list held = keys[:]
    cdef bytes key
    views.reserve(len(held))
    for key in held:
        views.push_back(_view(key))
    return held


cdef object _value(MultiGet* reading, size_t index):
    if not reading.exists(index):
        return None
    cdef string_view found = reading.value(index)
    return PyBytes_FromStringAndSize(found.data(), found.size())


cdef class DB(_View):
    """An open LevelDB; arguments are plyvel's."""

    def __init__(self, path, *, lru_cache_size=None, bloom_filter_bits=0, **options):
        cdef Options given = _options(options)
        if options:
            raise TypeError(f"there is no option {', '.join(sorted(options))}")
        cdef string name = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
        cdef size_t cache = lru_cache_size or 0
        cdef int bits = bloom_filter_bits or 0
        with nogil:
            self.source.database.reset(new CDatabase(name, given, cache, bits))

    cdef CDatabase* _database(self) except NULL:
        if not self.source.database:
            raise RuntimeError("the database is closed")
        return self.source.database.get()

    @property
    def closed(self):
        return not self.source.database or self.source.database.get().closed()

    def close(self):
        """Close it, once the calls that are running have ended, and its snapshots and scans with it."""
        if self.source.database:
            with nogil:
                self.source.database.get().close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __dealloc__(self):
        cdef Source closing = self.source
        self.source = Source()
        with nogil:
            if closing.database:
                closing.database.reset()

    def put(self, bytes key not None, bytes value not None, *, bint sync=False):
        """Write one pair."""
        batch = WriteBatch(self, sync)
        batch.put(key, value)
        batch.write()

    def snapshot(self):
        """Return the database as it is now."""
        return Snapshot(self)

    def write_batch(self, *, bint sync=False):
        """Return a batch, to be filled and written."""
        return WriteBatch(self, sync)

    def compact_range(self, *, start=None, stop=None):
        """Compact what lies between two keys."""
        cdef CDatabase* database = self._database()
        cdef optional[string] first = _key(start)
        cdef optional[string] last = _key(stop)
        with nogil:
            compact(database[0], first, last)

    def approximate_size(self, bytes start not None, bytes stop not None):
        """Return about how many bytes of files lie between two keys."""
        cdef CDatabase* database = self._database()
        cdef string_view first = _view(start)
        cdef string_view last = _view(stop)
        cdef uint64_t size
        with nogil:
            size = approximate_size(database[0], first, last)
        return size

    def get_property(self, bytes name not None):
        """Return one of LevelDB's properties, None if it has no such one."""
        cdef CDatabase* database = self._database()
        cdef string value
        cdef string wanted = name
        cdef cbool found
        with nogil:
            found = get_property(database[0], wanted, &value)
        return <bytes>value if found else None


cdef class Snapshot(_View):
    """A database as it was at one moment."""

    def __init__(self, DB database not None):
        database._database()
        self.source.database = database.source.database
        with nogil:
            self.source.snapshot.reset(new CSnapshot(self.source.database))

    def close(self):
        """Release it; closing twice is fine."""
        if self.source.snapshot:
            with nogil:
                self.source.snapshot.get().close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __dealloc__(self):
        cdef Source closing = self.source
        self.source = Source()
        with nogil:
            closing.snapshot.reset()
            closing.database.reset()


cdef class Chunk:
    """Packed rows, which can be read as bytes are."""

    cdef string data

    def __len__(self):
        return self.data.size()

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, <void*>self.data.data(), self.data.size(), 1, flags)

    def __releasebuffer__(self, Py_buffer* buffer):
        pass


cdef class Scan:
    """The rows of a scan, from the first one on."""

    cdef shared_ptr[CScan] held
    cdef Layout parts

    def __init__(
        self, _View view not None, start, stop, bint include_stop, bint include_key, bint include_value, bint reverse,
        bint verify_checksums, bint fill_cache
    ):
        if not view.source.database:
            raise RuntimeError("the database is closed")
        cdef CBounds bounds
        bounds.start, bounds.stop = _key(start), _key(stop)
        bounds.include_stop, bounds.reverse = include_stop, reverse
        self.parts.key, self.parts.value = include_key, include_value
        cdef ReadOptions options = _read_options(verify_checksums, fill_cache)
        with nogil:
            self.held.reset(new CScan(view.source, bounds, options))

    cdef CScan* _scan(self) except NULL:
        if not self.held:
            raise RuntimeError("the scan is closed")
        return self.held.get()

    def pack(self, size_t max_rows, size_t target_bytes, *, bint flat, bint bin):
        """Pack the next rows.

        Args:
            max_rows: at most so many.
            target_bytes: the row that reaches this size is the last one.
            flat: pairs are no arrays of their own.
            bin: strings are msgpack's bin.

        Returns:
            The rows, how many, how many bytes their parts have, and the key of the last one, None without keys.
        """
        cdef Packed packed
        cdef Layout layout = self.parts
        cdef shared_ptr[CScan] scan = self.held
        self._scan()
        layout.flat, layout.bin = flat, bin
        with nogil:
            pack_rows(scan.get()[0], layout, max_rows, target_bytes, &packed)
        has_key = packed.count and self.parts.key
        last = PyBytes_FromStringAndSize(packed.data.data() + packed.last_at, packed.last_size) if has_key else None
        cdef Chunk chunk = Chunk()
        chunk.data.swap(packed.data)
        return chunk, packed.count, packed.size, last

    def take(self, size_t max_rows, size_t target_bytes):
        """Return the next rows in a list, and how many bytes their parts have; arguments are those of ``pack``.

        Rows are tuples of key and value, or what there is of both, or None.
        """
        cdef Packed packed
        cdef vector[Row] rows
        cdef shared_ptr[CScan] scan = self.held
        self._scan()
        with nogil:
            take_rows(scan.get()[0], self.parts, max_rows, target_bytes, &packed, &rows)
        cdef const char* at = packed.data.data()
        cdef list taken = []
        cdef size_t index
        for index in range(packed.count):
            key = PyBytes_FromStringAndSize(at, rows[index].key_size) if self.parts.key else None
            at += rows[index].key_size
            value = PyBytes_FromStringAndSize(at, rows[index].value_size) if self.parts.value else None
            at += rows[index].value_size
            taken.append((key, value) if self.parts.key and self.parts.value else key if self.parts.key else value)
        return taken, packed.size

    def count(self, size_t most):
        """Count the rows that are left, at most so many."""
        cdef shared_ptr[CScan] scan = self.held
        cdef size_t counted
        self._scan()
        with nogil:
            counted = count_rows(scan.get()[0], most)
        return counted

    @property
    def at_end(self):
        """Whether no row is left."""
        return self._scan().at_end()

    def close(self):
        """Release it; closing twice is fine."""
        if self.held:
            with nogil:
                self.held.get().close()

    def __dealloc__(self):
        with nogil:
            self.held.reset()


cdef class WriteBatch:
    """Operations that are written together."""

    cdef CWriteBatch batch
    cdef DB database
    cdef bint sync

    def __init__(self, DB database not None, bint sync):
        self.database, self.sync = database, sync

    def put(self, bytes key not None, bytes value not None):
        """Add a put."""
        self.batch.Put(
            Slice(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)), Slice(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        )

    def delete(self, bytes key not None):
        """Add a delete."""
        self.batch.Delete(Slice(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)))

    def add_packed(self, operations, size_t count):
        """Add packed operations.

        Args:
            operations: so many of them, next to one another: ``[1, key, value]`` or ``[0, key]``.
            count: how many.

        Raises:
            ValueError: they are something else; the batch has some of them.
        """
        cdef _Buffer held = _Buffer(operations)
        cdef cbool sound
        with nogil:
            sound = read_operations(<const char*>held.held.buf, held.held.len, count, &self.batch)
        if not sound:
            raise ValueError("these are not so many operations")

    def write(self):
        """Write them."""
        cdef CDatabase* database = self.database._database()
        with nogil:
            database.write(&self.batch, self.sync)


def repair_db(path, *, lru_cache_size=None, bloom_filter_bits=0, **options):
    """Run LevelDB's own repair."""
    cdef Options given = _options(options)
    cdef string name = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
    with nogil:
        repair(name, given)


def destroy_db(path):
    """Remove a database."""
    cdef string name = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
    with nogil:
        destroy(name)
