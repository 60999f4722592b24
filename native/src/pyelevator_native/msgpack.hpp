// The few forms of msgpack that travel in bulk: arrays of strings, written in either family, and read.
//
// Nothing here knows Python, or LevelDB beyond its Slice; fuzz/ runs it alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace elevator {

// How rows are written: which parts of each, whether each is an array of its own, and in which family strings are.
struct Layout {
  bool key = true;
  bool value = true;
  bool flat = false;  // key, value, key, value: no array for each pair
  bool bin = false;   // msgpack's bin, instead of its old raw family
};

inline void put_big_endian(std::string& out, uint64_t number, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> shift));
}

// Writes what a string of `size` bytes begins with.
inline void put_string_header(std::string& out, size_t size, bool bin) {
  if (!bin && size < 32) {
    out.push_back(static_cast<char>(0xa0 | size));
  } else if (bin && size < 256) {
    out.push_back('\xc4');
    put_big_endian(out, size, 1);
  } else if (size < (size_t{1} << 16)) {
    out.push_back(bin ? '\xc5' : '\xda');
    put_big_endian(out, size, 2);
  } else {
    out.push_back(bin ? '\xc6' : '\xdb');
    put_big_endian(out, size, 4);
  }
}

inline void put_string(std::string& out, const char* data, size_t size, bool bin) {
  put_string_header(out, size, bin);
  out.append(data, size);
}

// Writes what an array of `count` values begins with.
inline void put_array(std::string& out, size_t count) {
  if (count < 16) {
    out.push_back(static_cast<char>(0x90 | count));
  } else if (count < (size_t{1} << 16)) {
    out.push_back('\xdc');
    put_big_endian(out, count, 2);
  } else {
    out.push_back('\xdd');
    put_big_endian(out, count, 4);
  }
}

inline void put_nil(std::string& out) { out.push_back('\xc0'); }

// Reads values one after the other; every function returns false, and then nothing more may be read, where the
// bytes are not what it reads or end too soon.
class Reader {
 public:
  Reader(const char* data, size_t size) : at_(data), end_(data + size) {}

  bool done() const { return at_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }

  // A string of either family, or of the raw one alone.
  bool string(std::string_view* found, bool raw_only = false) {
    if (done()) return false;
    const auto first = static_cast<uint8_t>(*at_);
    if (raw_only && first >= 0xc4 && first <= 0xc6) return false;
    uint64_t size = first & 0x1f;
    int width = 0;
    switch (first) {
      case 0xc4: case 0xd9: width = 1; break;
      case 0xc5: case 0xda: width = 2; break;
      case 0xc6: case 0xdb: width = 4; break;
      default:
        if ((first & 0xe0) != 0xa0) return false;
    }
    ++at_;
    if (width != 0 && !big_endian(width, &size)) return false;
    if (size > left()) return false;
    *found = std::string_view(at_, size);
    at_ += size;
    return true;
  }

  // The head of an array: how many values follow that belong to it.
  bool array(uint64_t* count) {
    if (done()) return false;
    const auto first = static_cast<uint8_t>(*at_);
    if (first == 0xdc || first == 0xdd) {
      ++at_;
      return big_endian(first == 0xdc ? 2 : 4, count);
    }
    if ((first & 0xf0) != 0x90) return false;
    ++at_;
    *count = first & 0x0f;
    return true;
  }

  // A number that is not negative, in the forms of such numbers.
  bool number(uint64_t* found) {
    if (done()) return false;
    const auto first = static_cast<uint8_t>(*at_);
    if (first >= 0x80 && (first < 0xcc || first > 0xcf)) return false;
    ++at_;
    *found = first;
    return first < 0x80 || big_endian(1 << (first - 0xcc), found);
  }

  // The next byte, which is passed over.
  bool byte(uint8_t* found) {
    if (done()) return false;
    *found = static_cast<uint8_t>(*at_++);
    return true;
  }

  // Passes over exactly these bytes.
  bool exactly(std::string_view expected) {
    if (left() < expected.size() || std::memcmp(at_, expected.data(), expected.size()) != 0) return false;
    at_ += expected.size();
    return true;
  }

 private:
  bool big_endian(int width, uint64_t* number) {
    if (left() < static_cast<size_t>(width)) return false;
    *number = 0;
    for (int i = 0; i < width; ++i) *number = *number << 8 | static_cast<uint8_t>(*at_++);
    return true;
  }

  const char* at_;
  const char* end_;
};

// An operation of a batch: [1, key, value] puts, [0, key] deletes.
struct Operation {
  bool put = false;
  std::string_view key;
  std::string_view value;
};

inline bool read_operation(Reader& reader, Operation* found) {
  uint64_t parts = 0;
  uint8_t signal = 0;
  if (!reader.array(&parts) || parts < 2 || !reader.byte(&signal)) return false;
  if (signal != (parts == 3 ? 1 : 0) || parts > 3) return false;
  found->put = parts == 3;
  return reader.string(&found->key) && (!found->put || reader.string(&found->value));
}

// Whether the bytes are exactly so many values that `read` reads.
template <typename Value, typename Read>
bool are_exactly(const char* data, size_t size, uint64_t count, Value value, Read read) {
  Reader reader(data, size);
  for (; count != 0; --count) {
    if (!read(reader, &value)) return false;
  }
  return reader.done();
}

inline bool are_operations(const char* data, size_t size, uint64_t count) {
  return are_exactly(data, size, count, Operation(), read_operation);
}

inline bool are_strings(const char* data, size_t size, uint64_t count) {
  return are_exactly(data, size, count, std::string_view(),
                     [](Reader& reader, std::string_view* found) { return reader.string(found); });
}

}  // namespace elevator
