// Fuzz targets of the C++ that reads what peers sent, or what lies in a database; libFuzzer calls them.
//
// The first byte chooses the target. Each compares what the extension does with a plain way of doing the same, and the
// sanitizers watch its memory.

#include <leveldb/env.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include "../src/pyelevator_native/database.hpp"
#include "../src/pyelevator_native/messages.hpp"

namespace {

using elevator::Bounds;
using elevator::Packed;
using elevator::ReadOptions;
using elevator::Source;

void require(bool truth) {
  if (!truth) std::abort();
}

// Takes the input apart: short strings and small numbers.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  bool done() const { return at_ == end_; }
  uint8_t byte() { return done() ? 0 : *at_++; }
  std::string string() {
    const size_t size = std::min<size_t>(byte() % 8, static_cast<size_t>(end_ - at_));
    std::string found(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return found;
  }
  const char* rest() const { return reinterpret_cast<const char*>(at_); }
  size_t left() const { return static_cast<size_t>(end_ - at_); }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

// Bytes of a peer: as operations, as strings. What is accepted is written again and must be accepted again.
void read_bytes(Input input) {
  const size_t count = input.byte() % 16;
  const std::string bytes(input.rest(), input.left());  // with its end where the sanitizer sees it
  leveldb::WriteBatch batch;
  require(elevator::read_operations(bytes.data(), bytes.size(), count, &batch, 1 + count / 2) ==
          elevator::are_operations(bytes.data(), bytes.size(), count));
  std::vector<std::string_view> found;
  const bool sound = elevator::read_strings(bytes.data(), bytes.size(), count, &found);
  require(sound == elevator::are_strings(bytes.data(), bytes.size(), count));
  if (!sound) return;
  for (const bool bin : {false, true}) {
    std::string again;
    for (const std::string_view one : found) elevator::put_string(again, one.data(), one.size(), bin);
    std::vector<std::string_view> second;
    require(elevator::read_strings(again.data(), again.size(), count, &second) && second == found);
  }
}

// Bytes of a peer: as a message, as a request, as an answer. What is accepted is written again as it was, if it was in the
// shortest form.
void read_messages(Input input) {
  const bool as_message = input.byte() % 2 != 0;
  const std::string bytes(input.rest(), input.left());
  elevator::Message message;
  if (as_message && elevator::split_message(bytes.data(), bytes.size(), &message)) {
    std::string again;
    for (size_t i = 0; i < message.count; ++i) elevator::put_frame(again, message.frames[i], i + 1 < message.count);
    elevator::Message second;
    require(elevator::split_message(again.data(), again.size(), &second) && second.count == message.count);
    for (size_t i = 0; i < message.count; ++i) require(second.frames[i] == message.frames[i]);
  }
  const std::string meta = "\x82\xa2id";
  const std::string head = "\x84\xa3" "cmd\xa3GET\xa4meta" + meta;
  for (const std::string& request : {bytes, head + bytes}) {
    elevator::RequestParts parts;
    if (!elevator::read_request(request.data(), request.size(), meta, &parts)) continue;
    require(parts.count <= elevator::kArguments);
    std::string again(parts.prefix);
    again += meta;
    elevator::put_number(again, parts.number);
    again += "\xa3uid";
    elevator::put_string(again, parts.uid.data(), parts.uid.size(), false);
    again += "\xa4" "args";
    again.push_back(static_cast<char>(0x90 | parts.count));
    for (uint64_t i = 0; i < parts.count; ++i) {
      elevator::put_string(again, parts.arguments[i].data(), parts.arguments[i].size(), false);
    }
    elevator::RequestParts second;
    require(elevator::read_request(again.data(), again.size(), meta, &second));
    require(second.number == parts.number && second.uid == parts.uid && second.count == parts.count);
    for (uint64_t i = 0; i < parts.count; ++i) require(second.arguments[i] == parts.arguments[i]);
  }
  std::string_view value;
  if (elevator::read_value(bytes, "\x91", &value)) {
    std::string again = "\x91";
    elevator::put_string(again, value.data(), value.size(), false);
    std::string_view second;
    require(elevator::read_value(again, "\x91", &second) && second == value);
  }
}

std::string packed(const std::string& key, const std::string& value, const elevator::Layout& layout) {
  std::string out;
  if (layout.key && layout.value && !layout.flat) out.push_back('\x92');
  if (layout.key) elevator::put_string(out, key.data(), key.size(), layout.bin);
  if (layout.value) elevator::put_string(out, value.data(), value.size(), layout.bin);
  if (!layout.key && !layout.value) elevator::put_nil(out);
  return out;
}

using Model = std::map<std::string, std::string>;

std::shared_ptr<elevator::Database> opened() {
  static const std::string folder = (std::filesystem::temp_directory_path() / ("fuzz-" + std::to_string(getpid()))).string();
  leveldb::DestroyDB(folder, leveldb::Options());
  leveldb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 64 << 10;
  return std::make_shared<elevator::Database>(folder, options, 0, 0);
}

bool within(const Bounds& bounds, const std::string& key) {
  if (bounds.start && key < *bounds.start) return false;
  return !bounds.stop || key < *bounds.stop || (bounds.include_stop && key == *bounds.stop);
}

void scan(const Source& source, const Model& model, Input& input) {
  const uint8_t flags = input.byte();
  Bounds bounds;
  if (flags & 1) bounds.start = input.string();
  if (flags & 2) bounds.stop = input.string();
  bounds.include_stop = flags & 4;
  bounds.reverse = flags & 8;
  const elevator::Layout layout{bool(flags & 16), bool(flags & 32), bool(flags & 64), bool(flags & 128)};
  std::string expected;
  const auto add = [&](const auto& pair) {
    if (within(bounds, pair.first)) expected += packed(pair.first, pair.second, layout);
  };
  if (bounds.reverse) std::for_each(model.rbegin(), model.rend(), add);
  else std::for_each(model.begin(), model.end(), add);
  elevator::Scan scan(source, bounds, ReadOptions());
  const size_t rows = 1 + input.byte() % 5;
  const size_t bytes = 1 + input.byte() % 64;
  std::string found;
  while (!scan.at_end()) {
    Packed piece;
    elevator::pack_rows(scan, layout, rows, bytes, &piece);
    require(piece.count >= 1 && piece.count <= rows);
    found += piece.data;
  }
  require(found == expected);
}

void multi_get(const Source& source, const Model& model, Input& input) {
  std::vector<std::string> keys(input.byte() % 8);
  for (std::string& key : keys) key = input.string();
  const bool bin = input.byte() & 1;
  const ptrdiff_t gap = input.byte() & 1 ? -1 : 4096;
  std::string expected;
  for (const std::string& key : keys) {
    const auto at = model.find(key);
    if (at == model.end()) elevator::put_nil(expected);
    else elevator::put_string(expected, at->second.data(), at->second.size(), bin);
  }
  elevator::MultiGet reading(source, ReadOptions(), std::vector<std::string_view>(keys.begin(), keys.end()), gap, 1 + input.byte() % 4);
  elevator::Values values;
  reading.read(source, ReadOptions(), SIZE_MAX, &values);
  reading.write(bin, &values);
  require(values.data == expected);
}

// Steps over an open database, each beside the same on a std::map.
void play(Input input) {
  auto database = opened();
  Model model;
  Model then;
  std::shared_ptr<elevator::Snapshot> snapshot;
  while (!input.done()) {
    switch (input.byte() % 6) {
      case 0: case 1: {
        std::string operations;
        const size_t ordered = 1 + input.byte() % 8;
        size_t count = 0;
        for (size_t left = 1 + input.byte() % 8; left != 0 && !input.done(); --left, ++count) {
          const std::string key = input.string();
          const bool put = input.byte() % 4 != 0;
          operations += put ? "\x93\x01" : std::string("\x92\x00", 2);
          elevator::put_string(operations, key.data(), key.size(), false);
          if (put) {
            model[key] = input.string();
            elevator::put_string(operations, model[key].data(), model[key].size(), true);
          } else {
            model.erase(key);
          }
        }
        leveldb::WriteBatch batch;
        require(elevator::read_operations(operations.data(), operations.size(), count, &batch, ordered));
        database->write(&batch, false);
        break;
      }
      case 2: scan(Source(database), model, input); break;
      case 3: multi_get(Source(database), model, input); break;
      case 4:
        snapshot = std::make_shared<elevator::Snapshot>(database);
        then = model;
        break;
      case 5:
        if (snapshot) {
          scan(Source(database, snapshot), then, input);
          multi_get(Source(database, snapshot), then, input);
        }
        break;
    }
  }
  const Source source(database);
  elevator::Scan open(source, Bounds(), ReadOptions());
  if (input.left() % 2 == 0) database->close();  // before what it has opened, or after
  snapshot.reset();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const uint8_t target = input.byte() % 8;
  if (target == 0) play(input);
  else if (target < 4) read_messages(input);
  else read_bytes(input);
  return 0;
}
