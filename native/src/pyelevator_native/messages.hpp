// Short messages of single calls: frames of ZMTP without keys, and the requests and answers of the classic dialect.
//
// Whatever is not one of the usual forms is refused here, and left to the reference. Nothing here knows Python; fuzz/
// runs it alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "msgpack.hpp"

namespace elevator {

constexpr size_t kFrames = 2;
constexpr size_t kArguments = 4;

constexpr uint8_t kMore = 1;
constexpr uint8_t kLong = 2;

struct Message {
  size_t count = 0;
  std::string_view frames[kFrames];
};

// Takes the bytes apart if they are one message of one or two frames, and nothing else.
inline bool split_message(const char* data, size_t size, Message* found) {
  size_t at = 0;
  bool more = true;
  for (found->count = 0; more && found->count < kFrames; ++found->count) {
    const size_t left = size - at;
    if (left < 2) return false;
    const auto flags = static_cast<uint8_t>(data[at]);
    if (flags > (kMore | kLong)) return false;
    uint64_t length = static_cast<uint8_t>(data[at + 1]);
    size_t header = 2;
    if ((flags & kLong) != 0) {
      header = 9;
      if (left < header) return false;
      length = 0;
      for (size_t i = 1; i < header; ++i) length = length << 8 | static_cast<uint8_t>(data[at + i]);
    }
    if (length > left - header) return false;
    found->frames[found->count] = std::string_view(data + at + header, length);
    at += header + length;
    more = (flags & kMore) != 0;
  }
  return !more && at == size;
}

// Writes one frame.
inline void put_frame(std::string& out, std::string_view content, bool more) {
  const uint8_t flags = more ? kMore : 0;
  if (content.size() > 255) {
    out.push_back(static_cast<char>(flags | kLong));
    put_big_endian(out, content.size(), 8);
  } else {
    out.push_back(static_cast<char>(flags));
    out.push_back(static_cast<char>(content.size()));
  }
  out.append(content);
}

// Writes a number in the fewest bytes.
inline void put_number(std::string& out, uint64_t number) {
  if (number < 128) {
    out.push_back(static_cast<char>(number));
    return;
  }
  const int width = number < 256 ? 0 : number < 65'536 ? 1 : number < (uint64_t{1} << 32) ? 2 : 3;
  out.push_back(static_cast<char>(0xcc + width));
  put_big_endian(out, number, 1 << width);
}

// A request: what it begins with up to its meta, its id, its database, and its arguments, which are all strings.
struct RequestParts {
  std::string_view prefix;
  uint64_t number = 0;
  std::string_view uid;
  uint64_t count = 0;
  std::string_view arguments[kArguments];
};

// Reads a request whose meta begins with these bytes, up to its id.
inline bool read_request(const char* data, size_t size, std::string_view meta, RequestParts* found) {
  Reader reader(data, size);
  std::string_view verb;
  if (!reader.exactly("\x84\xa3" "cmd") || !reader.string(&verb, true) || !reader.exactly("\xa4meta")) return false;
  found->prefix = std::string_view(data, size - reader.left());
  if (!reader.exactly(meta) || !reader.number(&found->number)) return false;
  if (!reader.exactly("\xa3uid") || !reader.string(&found->uid)) return false;
  if (!reader.exactly("\xa4" "args") || !reader.array(&found->count) || found->count > kArguments) return false;
  for (uint64_t i = 0; i < found->count; ++i) {
    if (!reader.string(&found->arguments[i])) return false;
  }
  return reader.done();
}

// Reads the content of an answer that is one string, behind these bytes.
inline bool read_value(std::string_view content, std::string_view prefix, std::string_view* found) {
  Reader reader(content.data(), content.size());
  return reader.exactly(prefix) && reader.string(found) && reader.done();
}

}  // namespace elevator
