// The disk backend over io_uring, by raw system calls and the kernel's two rings.
//
//   submission: fill entries, store sq.tail (release), one io_uring_enter for the batch
//   completion: the kernel fills entries and stores cq.tail; we load it (acquire), store cq.head
//
// cq.tail is also the completion word that JavaScript looks at. The kernel posts completions from
// task work of this thread. COOP_TASKRUN and DEFER_TASKRUN are not used: with them that work waits
// for the next system call of ours, and a thread that spins on cq.tail makes none. Without them
// the kernel interrupts the thread to get it done.
//
// The queue admits no more operations than there are submission entries, and the kernel makes twice
// as many completion entries, so neither ring can overflow.

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "call.h"
#include "disk_queue.h"
#include "memory.h"

// Newer than the kernel headers of some systems that we still build on.
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif

namespace logflume {

namespace {

// One mapping for both rings (5.4) and the plain read and write operations (5.6, seen by FAST_POLL
// of 5.7).
// Operations handed over in one call. From three on the kernel collects them and starts the disk
// after the last: 32 random reads in flight then run at 62,000 per second, in twos at 76,000, for
// 0.3 us per call.
constexpr uint32_t kSubmitAtOnceMax = 2;

constexpr uint32_t kFeaturesNeeded = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_FAST_POLL;

// The kernel may be short of memory for a moment; then the caller gets fewer operations taken.
constexpr int kSubmitRetriesMax = 100;

// The file is registered as number 0: no look-up of the descriptor per operation, and the file
// stays open as long as the ring does.
constexpr int kRegisteredFile = 0;

int UringSetup(uint32_t entry_count, io_uring_params* params) {
  return static_cast<int>(syscall(SYS_io_uring_setup, entry_count, params));
}

int UringEnter(int ring, uint32_t submit_count, uint32_t wait_count, uint32_t flags) {
  return static_cast<int>(
      syscall(SYS_io_uring_enter, ring, submit_count, wait_count, flags, nullptr, 0));
}

int UringRegister(int ring, uint32_t operation, const void* argument, uint32_t count) {
  return static_cast<int>(syscall(SYS_io_uring_register, ring, operation, argument, count));
}

std::shared_ptr<Mapping> MapRing(int ring, size_t byte_length, uint64_t offset) {
  void* address = mmap(nullptr, byte_length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       ring, static_cast<off_t>(offset));
  return address == MAP_FAILED ? nullptr : std::make_shared<Mapping>(address, byte_length);
}

class Uring final : public DiskBackend {
 public:
  explicit Uring(bool direct) : direct_(direct) {}

  // Nothing is in flight any more.
  ~Uring() override {
    if (ring_ >= 0) close(ring_);
    if (event_ >= 0) close(event_);
  }

  // 0 or -errno.
  int Open(int fd, uint32_t entry_count) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER;
    ring_ = UringSetup(entry_count, &params);
    if (ring_ < 0 && errno == EINVAL) {
      params = io_uring_params{};
      ring_ = UringSetup(entry_count, &params);
    }
    if (ring_ < 0) return NegativeErrno();
    if ((params.features & kFeaturesNeeded) != kFeaturesNeeded) return -ENOSYS;
    if (!Map(params)) return NegativeErrno();
    event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_ < 0) return NegativeErrno();
    if (UringRegister(ring_, IORING_REGISTER_FILES, &fd, 1) != 0) return NegativeErrno();
    if (UringRegister(ring_, IORING_REGISTER_EVENTFD, &event_, 1) != 0) return NegativeErrno();
    continued_.reserve(params.sq_entries);
    return 0;
  }

  const char* Name() const override { return "io_uring"; }
  int32_t* CompletionWord() override { return reinterpret_cast<int32_t*>(completion_tail_); }
  int EventFd() const override { return event_; }

  int Start(std::span<DiskOperation* const> operations) override {
    const auto count = static_cast<uint32_t>(operations.size());
    for (uint32_t i = 0; i < count; i++) {
      Fill(&entries_[(submission_tail_ + i) & submission_mask_], operations[i]);
    }
    submission_tail_ += count;
    PublishSubmissionTail();

    uint32_t submitted_count = 0;
    int error = 0;
    for (int retries = 0; submitted_count < count;) {
      const uint32_t some = std::min(count - submitted_count, kSubmitAtOnceMax);
      const int n = UringEnter(ring_, some, 0, 0);
      if (n >= 0) {
        submitted_count += static_cast<uint32_t>(n);
        continue;
      }
      if (errno == EINTR) continue;
      error = NegativeErrno();
      if (errno != EAGAIN && errno != EBUSY) break;
      if (++retries > kSubmitRetriesMax) break;
      sched_yield();
    }
    // Without a polling kernel thread nobody reads entries but io_uring_enter: what it did not take
    // can be withdrawn.
    submission_tail_ -= count - submitted_count;
    PublishSubmissionTail();
    return submitted_count > 0 ? static_cast<int>(submitted_count) : error;
  }

  size_t Collect(std::span<DiskOperation*> done) override {
    size_t done_count = 0;
    continued_.clear();
    const uint32_t tail = std::atomic_ref<uint32_t>(*completion_tail_).load();
    uint32_t head = *completion_head_;
    for (; head != tail; head++) {
      const io_uring_cqe& completion = completions_[head & completion_mask_];
      auto* operation = reinterpret_cast<DiskOperation*>(completion.user_data);
      if (operation->Advance(completion.res, direct_)) {
        done[done_count++] = operation;
      } else {
        continued_.push_back(operation);
      }
    }
    std::atomic_ref<uint32_t>(*completion_head_).store(head, std::memory_order_release);
    if (continued_.empty()) return done_count;

    const int started = Start(continued_);
    for (size_t i = static_cast<size_t>(std::max(started, 0)); i < continued_.size(); i++) {
      continued_[i]->result = -EAGAIN;
      done[done_count++] = continued_[i];
    }
    return done_count;
  }

  void Wait() override {
    const int n = UringEnter(ring_, 0, 1, IORING_ENTER_GETEVENTS);
    Require(n >= 0 || errno == EINTR || errno == EAGAIN, "waiting for completions works");
  }

 private:
  bool Map(const io_uring_params& params) {
    const size_t submission_bytes = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
    const size_t completion_bytes = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
    rings_ = MapRing(ring_, std::max(submission_bytes, completion_bytes), IORING_OFF_SQ_RING);
    if (!rings_) return false;
    entries_memory_ = MapRing(ring_, params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
    if (!entries_memory_) return false;

    entries_ = reinterpret_cast<io_uring_sqe*>(entries_memory_->address());
    shared_submission_tail_ = Word(params.sq_off.tail);
    submission_mask_ = *Word(params.sq_off.ring_mask);
    completion_head_ = Word(params.cq_off.head);
    completion_tail_ = Word(params.cq_off.tail);
    completion_mask_ = *Word(params.cq_off.ring_mask);
    completions_ = reinterpret_cast<io_uring_cqe*>(rings_->address() + params.cq_off.cqes);
    // Entries are used in the order of the ring, so the indirection is the identity for ever.
    uint32_t* indices = Word(params.sq_off.array);
    for (uint32_t i = 0; i < params.sq_entries; i++) indices[i] = i;
    submission_tail_ = *shared_submission_tail_;
    return true;
  }

  uint32_t* Word(uint32_t offset) const {
    return reinterpret_cast<uint32_t*>(rings_->address() + offset);
  }

  void PublishSubmissionTail() {
    std::atomic_ref<uint32_t>(*shared_submission_tail_)
        .store(submission_tail_, std::memory_order_release);
  }

  static void Fill(io_uring_sqe* entry, DiskOperation* operation) {
    *entry = io_uring_sqe{};
    entry->fd = kRegisteredFile;
    entry->flags = IOSQE_FIXED_FILE;
    entry->user_data = reinterpret_cast<uint64_t>(operation);
    if (operation->kind == DiskKind::kSync) {
      entry->opcode = IORING_OP_FSYNC;
      entry->fsync_flags = IORING_FSYNC_DATASYNC;
      return;
    }
    entry->opcode = operation->kind == DiskKind::kRead ? IORING_OP_READ : IORING_OP_WRITE;
    entry->addr = reinterpret_cast<uint64_t>(operation->Data());
    entry->len = operation->LeftBytes();
    entry->off = static_cast<uint64_t>(operation->Position());
  }

  const bool direct_;
  int ring_ = -1;
  int event_ = -1;
  std::shared_ptr<Mapping> rings_;
  std::shared_ptr<Mapping> entries_memory_;

  io_uring_sqe* entries_ = nullptr;
  uint32_t* shared_submission_tail_ = nullptr;
  uint32_t submission_tail_ = 0;
  uint32_t submission_mask_ = 0;
  io_uring_cqe* completions_ = nullptr;
  uint32_t* completion_head_ = nullptr;
  uint32_t* completion_tail_ = nullptr;
  uint32_t completion_mask_ = 0;
  // Operations of one Collect that a short transfer left unfinished.
  std::vector<DiskOperation*> continued_;
};

}  // namespace

std::unique_ptr<DiskBackend> OpenUring(int fd, uint32_t entry_count, bool direct, int* error) {
  auto uring = std::make_unique<Uring>(direct);
  *error = uring->Open(fd, entry_count);
  if (*error != 0) return nullptr;
  return uring;
}

}  // namespace logflume
