// Disk queues as JavaScript sees them: rows in, slots and results out.
//
// A queue owns a fixed table of operations, as many as may be in flight, so nothing is allocated
// once it runs. It pins the registered memory of each operation from its start to its reaping, and
// leaves the transfer itself to one of two backends. What is written where, and when to sync, is
// not known here.

#include "disk_queue.h"

#include <fcntl.h>

#include <bit>
#include <cmath>

#include "call.h"
#include "environment.h"

namespace logflume {

namespace {

// A direct transfer that stops within a sector has met the end of the file.
constexpr uint32_t kSectorBytes = 512;

enum Backend : int32_t { kAny = 0, kUring = 1, kThreads = 2 };

// False unless `number` is an integer from 0 to `max`; NaN is not.
bool ToInteger(double number, int64_t max, int64_t* integer) {
  if (!(number >= 0 && number <= static_cast<double>(max))) return false;
  *integer = static_cast<int64_t>(number);
  return static_cast<double>(*integer) == number;
}

}  // namespace

bool DiskOperation::Advance(int64_t returned, bool direct) {
  // After a failed sync nobody knows what is on disk: no result of a sync is ever asked for again.
  if (kind == DiskKind::kSync) {
    result = static_cast<int32_t>(returned);
    return true;
  }
  if (returned == -EINTR) return false;
  if (returned < 0) {
    result = static_cast<int32_t>(returned);
    return true;
  }
  done_bytes += static_cast<uint32_t>(returned);
  result = static_cast<int32_t>(done_bytes);
  if (done_bytes == byte_length) return true;
  if (kind == DiskKind::kWrite) {
    if (returned > 0) return false;
    result = -EIO;  // A write that makes no progress would go on for ever.
    return true;
  }
  return returned == 0 || (direct && done_bytes % kSectorBytes != 0);
}

DiskQueue::DiskQueue(Environment* environment, std::unique_ptr<DiskBackend> backend,
                     uint32_t entry_count)
    : environment_(environment), backend_(std::move(backend)), operations_(entry_count) {
  free_.reserve(entry_count);
  batch_.reserve(entry_count);
  for (DiskOperation& operation : operations_) free_.push_back(&operation);
}

DiskQueue::~DiskQueue() {
  std::vector<int32_t> slots(operations_.size());
  std::vector<int32_t> results(operations_.size());
  while (free_.size() < operations_.size()) {
    if (Reap(slots.data(), results.data()) == 0) backend_->Wait();
  }
}

bool DiskQueue::ReadRow(const double* row, DiskOperation* operation) const {
  int64_t kind = 0;
  int64_t slot = 0;
  if (!ToInteger(row[0], kDiskKindCount - 1, &kind)) return false;
  if (!ToInteger(row[1], INT32_MAX, &slot)) return false;
  *operation = DiskOperation{};
  operation->kind = static_cast<DiskKind>(kind);
  operation->slot = static_cast<int32_t>(slot);
  if (operation->kind == DiskKind::kSync) return true;

  int64_t number = 0;
  int64_t offset = 0;
  int64_t byte_length = 0;
  constexpr int64_t kIntegerMax = int64_t{1} << 53;
  const std::vector<Memory>& memories = environment_->memories;
  if (!ToInteger(row[2], static_cast<int64_t>(memories.size()) - 1, &number)) return false;
  if (!ToInteger(row[3], kIntegerMax, &offset)) return false;
  if (!ToInteger(row[4], kTransferBytesMax, &byte_length) || byte_length == 0) return false;
  if (!ToInteger(row[5], kIntegerMax, &operation->position_bytes)) return false;
  const Memory& memory = memories[static_cast<size_t>(number)];
  if (!memory.registered) return false;
  if (static_cast<uint64_t>(offset + byte_length) > memory.byte_length) return false;
  operation->memory = static_cast<uint32_t>(number);
  operation->data = memory.data + offset;
  operation->byte_length = static_cast<uint32_t>(byte_length);
  return true;
}

int DiskQueue::Submit(const double* rows, size_t count) {
  batch_.clear();
  const size_t room = free_.size();
  for (size_t i = 0; i < count; i++) {
    // Rows beyond the room are not taken, but a malformed one is refused all the same.
    DiskOperation spare;
    DiskOperation* operation = i < room ? free_[room - 1 - i] : &spare;
    if (!ReadRow(rows + i * kDiskRowNumbers, operation)) return -ERANGE;
    if (i < room) batch_.push_back(operation);
  }
  if (batch_.empty()) return 0;
  const int started = backend_->Start(batch_);
  for (int i = 0; i < started; i++) {
    const DiskOperation& operation = *batch_[static_cast<size_t>(i)];
    if (operation.kind != DiskKind::kSync) {
      environment_->memories[operation.memory].in_flight_count++;
    }
    free_.pop_back();
  }
  return started;
}

int DiskQueue::Reap(int32_t* slots, int32_t* results) {
  batch_.resize(operations_.size());
  const size_t count = backend_->Collect(batch_);
  for (size_t i = 0; i < count; i++) {
    DiskOperation* operation = batch_[i];
    slots[i] = operation->slot;
    results[i] = operation->result;
    if (operation->kind != DiskKind::kSync) {
      environment_->memories[operation->memory].in_flight_count--;
    }
    free_.push_back(operation);
  }
  return static_cast<int>(count);
}

namespace {

DiskQueue* FindQueue(Environment& environment, uint32_t number) {
  const auto& queues = environment.disk_queues;
  return number < queues.size() ? queues[number].get() : nullptr;
}

std::unique_ptr<DiskBackend> OpenBackend(int fd, uint32_t entry_count, int32_t backend,
                                         int* error) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) {
    *error = NegativeErrno();
    return nullptr;
  }
  const bool direct = (flags & O_DIRECT) != 0;
  if (backend != kThreads) {
    auto uring = OpenUring(fd, entry_count, direct, error);
    if (uring || backend == kUring) return uring;
  }
  return OpenDiskThreads(fd, direct, error);
}

napi_value Create(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const uint32_t entry_count = call.Word(1);
  Require(std::has_single_bit(entry_count), "a queue has a power of two of entries");
  Require(entry_count <= kDiskEntryCountMax, "a queue has at most 4096 entries");
  int error = 0;
  auto backend = OpenBackend(call.Int(0), entry_count, call.Int(2), &error);
  if (!backend) return call.ReturnInt(error);

  auto& queues = call.environment().disk_queues;
  size_t number = 0;
  while (number < queues.size() && queues[number]) number++;
  if (number == queues.size()) queues.emplace_back();
  queues[number] =
      std::make_unique<DiskQueue>(&call.environment(), std::move(backend), entry_count);
  return call.ReturnInt(static_cast<int32_t>(number));
}

napi_value BackendName(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  DiskQueue* queue = FindQueue(call.environment(), call.Word(0));
  Require(queue != nullptr, "the queue is open");
  return call.ReturnText(queue->backend().Name());
}

napi_value Submit(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  DiskQueue* queue = FindQueue(call.environment(), call.Word(0));
  if (queue == nullptr) return call.ReturnInt(-EBADF);
  const size_t count = call.Word(2);
  return call.ReturnInt(queue->Submit(call.Elements<double>(1, count * kDiskRowNumbers), count));
}

napi_value Reap(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  DiskQueue* queue = FindQueue(call.environment(), call.Word(0));
  if (queue == nullptr) return call.ReturnInt(-EBADF);
  auto* slots = call.Elements<int32_t>(1, queue->entry_count());
  auto* results = call.Elements<int32_t>(2, queue->entry_count());
  return call.ReturnInt(queue->Reap(slots, results));
}

// A view of four bytes that belong to the backend, and perhaps to the kernel. The finalizer has
// nothing to free: closing the queue detaches the view before the word goes away, and at the end
// of the environment no JavaScript is left to look at it.
napi_value Completions(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  DiskQueue* queue = FindQueue(call.environment(), call.Word(0));
  Require(queue != nullptr, "the queue is open");
  napi_value view = nullptr;
  if (queue->word_view != nullptr) {
    napi_get_reference_value(env, queue->word_view, &view);
    return view;
  }
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, queue->backend().CompletionWord(), sizeof(int32_t), [](napi_env, void*, void*) {},
      nullptr, &buffer);
  if (status != napi_ok) return call.ReturnInt(-ENOTSUP);
  if (napi_create_typedarray(env, napi_int32_array, 1, buffer, 0, &view) != napi_ok ||
      napi_create_reference(env, view, 1, &queue->word_view) != napi_ok) {
    return call.ReturnInt(-ENOMEM);
  }
  return view;
}

napi_value Event(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  DiskQueue* queue = FindQueue(call.environment(), call.Word(0));
  return call.ReturnInt(queue == nullptr ? -EBADF : queue->backend().EventFd());
}

void DetachWordView(napi_env env, DiskQueue* queue) {
  napi_value view = nullptr;
  napi_value buffer = nullptr;
  if (queue->word_view == nullptr) return;
  napi_get_reference_value(env, queue->word_view, &view);
  napi_get_typedarray_info(env, view, nullptr, nullptr, nullptr, &buffer, nullptr);
  Require(napi_detach_arraybuffer(env, buffer) == napi_ok, "the word's buffer can be detached");
  napi_delete_reference(env, queue->word_view);
}

napi_value Close(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  DiskQueue* queue = FindQueue(call.environment(), call.Word(0));
  if (queue == nullptr) return call.ReturnInt(-EBADF);
  DetachWordView(env, queue);
  call.environment().disk_queues[call.Word(0)].reset();
  return call.ReturnInt(0);
}

}  // namespace

std::span<const Export> DiskQueueExports() {
  static constexpr Export kExports[] = {
      {"diskQueueCreate", Create},
      {"diskQueueBackend", BackendName},
      {"diskQueueSubmit", Submit},
      {"diskQueueReap", Reap},
      {"diskQueueCompletions", Completions},
      {"diskQueueEvent", Event},
      {"diskQueueClose", Close},
  };
  return kExports;
}

}  // namespace logflume
