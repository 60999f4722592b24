// What is done with a whole database.
#pragma once

#include <memory>

#include "database.hpp"

namespace elevator {

inline bool get_property(Database& database, const std::string& name, std::string* value) {
  return database.use()->GetProperty(name, value);
}

inline uint64_t approximate_size(Database& database, std::string_view start, std::string_view stop) {
  const leveldb::Range range(slice(start), slice(stop));
  uint64_t size = 0;
  database.use()->GetApproximateSizes(&range, 1, &size);
  return size;
}

inline void compact(Database& database, const std::optional<std::string>& start, const std::optional<std::string>& stop) {
  const leveldb::Slice first(start ? slice(*start) : leveldb::Slice());
  const leveldb::Slice last(stop ? slice(*stop) : leveldb::Slice());
  database.use()->CompactRange(start ? &first : nullptr, stop ? &last : nullptr);
}

inline void repair(const std::string& path, const leveldb::Options& options) { check(leveldb::RepairDB(path, options)); }

inline void destroy(const std::string& path) { check(leveldb::DestroyDB(path, leveldb::Options())); }

inline void set_compression(leveldb::Options& options, bool snappy) {
  options.compression = snappy ? leveldb::kSnappyCompression : leveldb::kNoCompression;
}

inline std::string version() {
  return std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion);
}

}  // namespace elevator
