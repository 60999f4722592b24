// Threads that scan, read, write and close one database at once, for the sanitizer of threads.

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "../src/pyelevator_native/database.hpp"

namespace {

void work(const std::shared_ptr<elevator::Database>& database, unsigned seed) {
  try {
    for (unsigned turn = 0;; ++turn) {
      leveldb::WriteBatch batch;
      for (unsigned i = 0; i < 50; ++i) batch.Put(std::to_string((seed + turn * 7919 + i) % 5000), std::string(100, 'v'));
      database->write(&batch, false);
      auto snapshot = std::make_shared<elevator::Snapshot>(database);
      const elevator::Source source = turn % 2 ? elevator::Source(database, snapshot) : elevator::Source(database);
      elevator::Scan scan(source, elevator::Bounds(), elevator::ReadOptions());
      while (!scan.at_end()) {
        elevator::Packed piece;
        elevator::pack_rows(scan, elevator::Layout(), 100, 10000, &piece);
      }
      std::vector<std::string> keys;
      for (unsigned i = 0; i < 20; ++i) keys.push_back(std::to_string((turn + i * 211) % 6000));
      elevator::MultiGet reading(source, elevator::ReadOptions(), {keys.begin(), keys.end()}, turn % 3 ? 4096 : -1, 5);
      elevator::Values values;
      reading.read(source, elevator::ReadOptions(), SIZE_MAX, &values);
      reading.write(false, &values);
      if (values.count != keys.size()) std::abort();
    }
  } catch (const elevator::Closed&) {  // how each of them ends
  }
}

}  // namespace

int main(int, char** arguments) {
  const std::string folder = (std::filesystem::temp_directory_path() / ("threads-" + std::to_string(getpid()))).string();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(arguments[1]));
  unsigned rounds = 0;
  for (; std::chrono::steady_clock::now() < end; ++rounds) {
    leveldb::DestroyDB(folder, leveldb::Options());
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = 64 << 10;
    auto database = std::make_shared<elevator::Database>(folder, options, 0, 10);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) threads.emplace_back(work, database, i * 1000);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    database->close();
    for (std::thread& thread : threads) thread.join();
  }
  leveldb::DestroyDB(folder, leveldb::Options());
  std::printf("%u rounds of 4 threads\n", rounds);
}
