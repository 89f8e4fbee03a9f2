// The disk backend for machines that forbid io_uring: a few threads of its own per queue.
//
// Not libuv's pool, which Node shares among file calls, name look-ups and compression: a slow
// lookup there would hold up a commit. Completions are counted in a word by a sequentially
// consistent add after they were listed, so whoever sees the word change finds them.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "call.h"
#include "disk_queue.h"

namespace logflume {

namespace {

// Enough that a sync, reads and a write overlap; more only compete for few processors.
constexpr int kThreadCount = 4;

class DiskThreads final : public DiskBackend {
 public:
  DiskThreads(int fd, int event, bool direct) : fd_(fd), event_(event), direct_(direct) {
    for (int i = 0; i < kThreadCount; i++) threads_.emplace_back([this] { Run(); });
  }

  // Nothing is in flight any more.
  ~DiskThreads() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    close(fd_);
    close(event_);
  }

  const char* Name() const override { return "threads"; }
  int32_t* CompletionWord() override { return &word_; }
  int EventFd() const override { return event_; }

  int Start(std::span<DiskOperation* const> operations) override {
    {
      std::lock_guard lock(mutex_);
      waiting_.insert(waiting_.end(), operations.begin(), operations.end());
    }
    if (operations.size() == 1) {
      work_.notify_one();
    } else {
      work_.notify_all();
    }
    return static_cast<int>(operations.size());
  }

  size_t Collect(std::span<DiskOperation*> done) override {
    std::lock_guard lock(mutex_);
    const size_t count = done_.size();
    std::copy(done_.begin(), done_.end(), done.begin());
    done_.clear();
    return count;
  }

  void Wait() override {
    std::unique_lock lock(mutex_);
    completion_.wait(lock, [this] { return !done_.empty(); });
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      DiskOperation* operation = waiting_.front();
      waiting_.pop_front();
      lock.unlock();
      while (!operation->Advance(Transfer(*operation), direct_)) continue;
      lock.lock();
      done_.push_back(operation);
      std::atomic_ref<int32_t>(word_).fetch_add(1, std::memory_order_seq_cst);
      completion_.notify_one();
      const uint64_t one = 1;
      // EAGAIN: the count is at its greatest, so the sleeper is being woken already.
      Require(write(event_, &one, sizeof(one)) > 0 || errno == EAGAIN, "the event is writable");
    }
  }

  int64_t Transfer(const DiskOperation& operation) const {
    int64_t returned = 0;
    switch (operation.kind) {
      case DiskKind::kRead:
        returned = pread(fd_, operation.Data(), operation.LeftBytes(), operation.Position());
        break;
      case DiskKind::kWrite:
        returned = pwrite(fd_, operation.Data(), operation.LeftBytes(), operation.Position());
        break;
      case DiskKind::kSync:
        returned = fdatasync(fd_);
        break;
    }
    return returned < 0 ? NegativeErrno() : returned;
  }

  const int fd_;
  const int event_;
  const bool direct_;
  int32_t word_ = 0;  // Atomic for everybody.

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable completion_;
  std::deque<DiskOperation*> waiting_;  // Guarded by mutex_, as all below.
  std::vector<DiskOperation*> done_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<DiskBackend> OpenDiskThreads(int fd, bool direct, int* error) {
  const int own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own_fd < 0) {
    *error = NegativeErrno();
    return nullptr;
  }
  const int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event < 0) {
    *error = NegativeErrno();
    close(own_fd);
    return nullptr;
  }
  return std::make_unique<DiskThreads>(own_fd, event, direct);
}

}  // namespace logflume
