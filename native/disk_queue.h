// Disk operations and the two ways to run them: io_uring, or private threads where it is forbidden.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kinds.h"

namespace logflume {

struct Environment;

// The most that one read(2) or write(2) transfers.
constexpr int64_t kTransferBytesMax = 0x7ffff000;

constexpr uint32_t kDiskEntryCountMax = 4096;

// One operation in flight, owned by its queue and lent to the backend from Start to Collect.
struct DiskOperation {
  // Takes in what one system call returned. True if that finished the operation: `result` is then
  // what the caller gets. Otherwise the rest is still to be transferred.
  bool Advance(int64_t returned, bool direct);

  uint8_t* Data() const { return data + done_bytes; }
  uint32_t LeftBytes() const { return byte_length - done_bytes; }
  int64_t Position() const { return position_bytes + done_bytes; }

  DiskKind kind;
  int32_t slot;
  uint32_t memory;
  uint8_t* data;
  uint32_t byte_length;
  uint32_t done_bytes;
  int64_t position_bytes;
  int32_t result;
};

class DiskBackend {
 public:
  virtual ~DiskBackend() = default;
  virtual const char* Name() const = 0;
  // Starts a prefix of the operations; how many, or -errno if none.
  virtual int Start(std::span<DiskOperation* const> operations) = 0;
  // Fills `done`, which has room for all that can be in flight; how many.
  virtual size_t Collect(std::span<DiskOperation*> done) = 0;
  // Blocks until Collect may find something. Only while operations are in flight.
  virtual void Wait() = 0;
  // Changes whenever an operation completes, without any call of this thread.
  virtual int32_t* CompletionWord() = 0;
  virtual int EventFd() const = 0;
};

// `fd` stays the caller's; the backend keeps the file open by itself. Null with -errno in `*error`.
std::unique_ptr<DiskBackend> OpenUring(int fd, uint32_t entry_count, bool direct, int* error);
std::unique_ptr<DiskBackend> OpenDiskThreads(int fd, bool direct, int* error);

class DiskQueue {
 public:
  DiskQueue(Environment* environment, std::unique_ptr<DiskBackend> backend, uint32_t entry_count);
  // Waits for what is in flight.
  ~DiskQueue();
  DiskQueue(const DiskQueue&) = delete;
  DiskQueue& operator=(const DiskQueue&) = delete;

  DiskBackend& backend() { return *backend_; }
  uint32_t entry_count() const { return static_cast<uint32_t>(operations_.size()); }

  // Rows as in addon.ts: how many were started, or -ERANGE if one is malformed (none is started).
  int Submit(const double* rows, size_t count);
  // Both arrays have room for `entry_count`.
  int Reap(int32_t* slots, int32_t* results);

  // The view of the completion word that JavaScript holds, if any.
  napi_ref word_view = nullptr;

 private:
  bool ReadRow(const double* row, DiskOperation* operation) const;

  Environment* const environment_;
  const std::unique_ptr<DiskBackend> backend_;
  std::vector<DiskOperation> operations_;
  std::vector<DiskOperation*> free_;
  std::vector<DiskOperation*> batch_;
};

}  // namespace logflume
