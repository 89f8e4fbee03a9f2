// Doorbells (eventfds) and threads that sleep on them, alone or on a set.
//
// The sleep handshake is the caller's: it sets its parked flag, looks once more, and only then
// sleeps here; its peer stores the word first and reads the flag after. All four are sequentially
// consistent, in JavaScript by Atomics and here by the load below. An eventfd keeps what was
// signalled before anyone slept, so a signal between the look and the sleep is not lost.

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "call.h"
#include "clock.h"
#include "environment.h"

namespace logflume {

namespace {

// Looks between two readings of the clock. A pause takes about 20-40 ns and a reading as long, so
// a spin overshoots by a microsecond at most and the clock costs it a few percent.
constexpr int kLooksPerClock = 32;

// Doorbells that one wake-up reports; more wait for the next call, which returns at once.
constexpr int kPollerBatch = 64;

enum WaitResult : int32_t { kChanged = 0, kWoken = 1, kTimeIsUp = 2 };

napi_value EventCreate(napi_env env, napi_callback_info info) {
  return Call<0>(env, info).ReturnCall(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

napi_value EventSignal(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const uint64_t one = 1;
  const ssize_t n = write(call.Int(0), &one, sizeof(one));
  // EAGAIN: the count is at its greatest, so the sleeper is being woken already.
  return call.ReturnInt(n < 0 && errno != EAGAIN ? NegativeErrno() : 0);
}

int64_t Drain(int fd) {
  uint64_t count = 0;
  if (read(fd, &count, sizeof(count)) < 0) return errno == EAGAIN ? 0 : NegativeErrno();
  return static_cast<int64_t>(std::min<uint64_t>(count, INT64_MAX));
}

napi_value EventDrain(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.Return(Drain(call.Int(0)));
}

// Whether the word changed within `spin_ns`. Looks at least once.
bool SpinUntilChanged(std::atomic_ref<int32_t> word, int32_t expected, int64_t spin_ns) {
  if (word.load(std::memory_order_seq_cst) != expected) return true;
  if (spin_ns <= 0) return false;
  const int64_t deadline_ns = NowNs() + spin_ns;
  do {
    for (int look = 0; look < kLooksPerClock; look++) {
      Pause();
      if (word.load(std::memory_order_seq_cst) != expected) return true;
    }
  } while (NowNs() < deadline_ns);
  return false;
}

// 1 if `fd` became readable, 0 if not in time, or -errno. Signals do not shorten the sleep.
int SleepUntilReadable(int fd, int64_t timeout_ns) {
  const int64_t deadline_ns = NowNs() + timeout_ns;
  pollfd wanted = {fd, POLLIN, 0};
  for (int64_t left_ns = timeout_ns;; left_ns = std::max<int64_t>(deadline_ns - NowNs(), 0)) {
    const timespec timeout = {left_ns / kNsPerSecond, left_ns % kNsPerSecond};
    const int ready = ppoll(&wanted, 1, &timeout, nullptr);
    if (ready >= 0) return (wanted.revents & POLLNVAL) != 0 ? -EBADF : ready;
    if (errno != EINTR) return NegativeErrno();
  }
}

napi_value WaitWord(napi_env env, napi_callback_info info) {
  const Call<6> call(env, info);
  const size_t index = call.Word(1);
  int32_t* words = call.Elements<int32_t>(0, index + 1);
  const auto spin_ns = static_cast<int64_t>(call.Number(3));
  const int fd = call.Int(4);
  const double timeout_ms = call.Number(5);

  if (SpinUntilChanged(std::atomic_ref<int32_t>(words[index]), call.Int(2), spin_ns)) {
    return call.ReturnInt(kChanged);
  }
  if (fd < 0) return call.ReturnInt(kTimeIsUp);
  const int ready = SleepUntilReadable(fd, static_cast<int64_t>(timeout_ms * kNsPerMs));
  if (ready < 0) return call.ReturnInt(ready);
  if (ready == 0) return call.ReturnInt(kTimeIsUp);
  Drain(fd);
  return call.ReturnInt(kWoken);
}

napi_value OpenClock(napi_env env, napi_callback_info info) {
  Environment& environment = Call<0>(env, info).environment();
  napi_value array = nullptr;
  if (environment.clock_pin != nullptr) {
    napi_get_reference_value(env, environment.clock_pin, &array);
    return array;
  }
  napi_value buffer = nullptr;
  void* data = nullptr;
  napi_create_arraybuffer(env, sizeof(double), &data, &buffer);
  napi_create_typedarray(env, napi_float64_array, 1, buffer, 0, &array);
  napi_create_reference(env, array, 1, &environment.clock_pin);
  environment.clock_us = static_cast<double*>(data);
  return array;
}

// No argument and no result: the call then makes nothing on the heap.
napi_value ReadClock(napi_env env, napi_callback_info info) {
  double* clock_us = Call<0>(env, info).environment().clock_us;
  Require(clock_us != nullptr, "the clock was opened");
  *clock_us = static_cast<double>(NowNs()) / 1000;
  return nullptr;
}

napi_value PollerCreate(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) return call.ReturnInt(NegativeErrno());
  call.environment().pollers.insert(poller);
  return call.ReturnInt(poller);
}

napi_value PollerAdd(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  epoll_event event{};
  // Edge-triggered, so that nothing is read: a peer that shares the eventfd could drain it first
  // after making it block, and the read would then wait for ever.
  event.events = EPOLLIN | EPOLLET;
  event.data.fd = call.Int(1);
  return call.ReturnCall(epoll_ctl(call.Int(0), EPOLL_CTL_ADD, call.Int(1), &event));
}

napi_value PollerRemove(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return call.ReturnCall(epoll_ctl(call.Int(0), EPOLL_CTL_DEL, call.Int(1), nullptr));
}

napi_value PollerWait(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const int poller = call.Int(0);
  const double timeout_ms = call.Number(1);
  // Slept on with ppoll, which counts in nanoseconds; epoll_wait counts in whole milliseconds.
  const int readable = SleepUntilReadable(poller, static_cast<int64_t>(timeout_ms * kNsPerMs));
  if (readable <= 0) return call.ReturnInt(readable);
  epoll_event events[kPollerBatch];
  const int count = epoll_wait(poller, events, kPollerBatch, 0);
  if (count < 0) return call.ReturnInt(errno == EINTR ? 0 : NegativeErrno());
  return call.ReturnInt(count);
}

napi_value PollerClose(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const int poller = call.Int(0);
  if (call.environment().pollers.erase(poller) == 0) return call.ReturnInt(-EBADF);
  return call.ReturnCall(close(poller));
}

}  // namespace

std::span<const Export> WaitingExports() {
  static constexpr Export kExports[] = {
      {"eventCreate", EventCreate},   {"eventSignal", EventSignal},   {"eventDrain", EventDrain},
      {"waitWord", WaitWord},         {"pollerCreate", PollerCreate}, {"pollerAdd", PollerAdd},
      {"pollerRemove", PollerRemove}, {"pollerWait", PollerWait},     {"pollerClose", PollerClose},
      {"openClock", OpenClock},       {"readClock", ReadClock},
  };
  return kExports;
}

}  // namespace logflume
