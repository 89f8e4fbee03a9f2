// What one JavaScript environment (the main thread or a worker) holds, and in which order it lets
// go: event thread, disk queues, files, pollers, memory table. The queues go first of these: the
// kernel may write into registered memory until the last operation is reaped, and a file's lock
// tells the next owner that none is in flight.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "call.h"

namespace logflume {

class DiskQueue;
class EventThread;
class Mapping;

// Memory known to the batched calls by its number.
struct Memory {
  uint8_t* data = nullptr;
  size_t byte_length = 0;
  // Disk operations that read or write it now.
  uint32_t in_flight_count = 0;
  bool registered = false;
  // Keeps the view, and so its buffer, from being collected.
  napi_ref pin = nullptr;
  // Set if the bytes lie in a mapping of ours: it then outlives its ArrayBuffer as long as needed.
  std::shared_ptr<Mapping> mapping;
};

struct Environment {
  explicit Environment(napi_env env);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  // Runs before anything of the environment is torn down.
  void Close();

  napi_env env;
  std::vector<Memory> memories;
  std::vector<std::unique_ptr<DiskQueue>> disk_queues;
  // Opened or adopted here and not closed: a thread that is terminated must not keep a lock, nor a
  // guest's memory and socket.
  std::set<int> files;
  std::set<int> pollers;
  // Where `readClock` puts the time. Null until `openClock`; the pin keeps the array.
  double* clock_us = nullptr;
  napi_ref clock_pin = nullptr;
  std::shared_ptr<EventThread> event_thread;
};

// What each file adds to the exports.
std::span<const Export> MemoryExports();
std::span<const Export> KernelExports();
std::span<const Export> FileExports();
std::span<const Export> SocketExports();
std::span<const Export> WaitingExports();
std::span<const Export> EventThreadExports();
std::span<const Export> DiskQueueExports();
std::span<const Export> SpinFloorExports();

}  // namespace logflume
