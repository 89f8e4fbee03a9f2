// The benchmark's floor: how fast two threads of C++ can answer each other over shared memory.
//
// Each side stores its own word, on its own pair of cache lines, and spins on the other's; the
// difference between two consecutive answers is one round trip. Time is the processor's time stamp
// counter, because a reading takes a tenth of what the system's clock takes; it is scaled to ns by
// comparing both over the whole run. Where there is no such counter the system's clock is read
// every 100 round trips and each of them is given the mean.

#include <atomic>
#include <thread>

#include "call.h"
#include "clock.h"
#include "environment.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace logflume {

namespace {

// Round trips that are run before the first one counts.
constexpr uint32_t kWarmUpCount = 10'000;

// So long a spin means that the other thread does not run: give it this processor.
constexpr uint32_t kSpinsBeforeYield = 100'000;

struct alignas(128) Word {
  std::atomic<uint32_t> value{0};
};

void SpinUntil(const std::atomic<uint32_t>& word, uint32_t expected) {
  for (uint32_t spins = 1; word.load(std::memory_order_seq_cst) != expected; spins++) {
    if (spins % kSpinsBeforeYield == 0) std::this_thread::yield();
  }
}

void RunRoundTrips(double* out, size_t count) {
  Word ping;
  Word pong;
  const auto round_trip = [&](uint32_t number) {
    ping.value.store(number, std::memory_order_seq_cst);
    SpinUntil(pong.value, number);
  };
  const auto total = static_cast<uint32_t>(kWarmUpCount + count);
  std::thread echo([&] {
    for (uint32_t number = 1; number <= total; number++) {
      SpinUntil(ping.value, number);
      pong.value.store(number, std::memory_order_seq_cst);
    }
  });
  for (uint32_t number = 1; number <= kWarmUpCount; number++) round_trip(number);

#if defined(__x86_64__)
  const int64_t start_ns = NowNs();
  const uint64_t start_ticks = __rdtsc();
  uint64_t before_ticks = start_ticks;
  for (size_t i = 0; i < count; i++) {
    round_trip(kWarmUpCount + 1 + static_cast<uint32_t>(i));
    const uint64_t now_ticks = __rdtsc();
    out[i] = static_cast<double>(now_ticks - before_ticks);
    before_ticks = now_ticks;
  }
  const auto ns = static_cast<double>(NowNs() - start_ns);
  const double ns_per_tick = ns / static_cast<double>(before_ticks - start_ticks);
  for (size_t i = 0; i < count; i++) out[i] *= ns_per_tick;
#else
  constexpr size_t kBatch = 100;
  for (size_t first = 0; first < count; first += kBatch) {
    const size_t end = first + kBatch < count ? first + kBatch : count;
    const int64_t start_ns = NowNs();
    for (size_t i = first; i < end; i++) round_trip(kWarmUpCount + 1 + static_cast<uint32_t>(i));
    const double mean_ns =
        static_cast<double>(NowNs() - start_ns) / static_cast<double>(end - first);
    for (size_t i = first; i < end; i++) out[i] = mean_ns;
  }
#endif
  echo.join();
}

napi_value SpinRoundTrips(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Bytes out = call.View(0, napi_float64_array);
  const size_t count = out.byte_length / sizeof(double);
  if (count == 0 || count > UINT32_MAX - kWarmUpCount) return call.ReturnInt(-EINVAL);
  RunRoundTrips(reinterpret_cast<double*>(out.data), count);
  return call.ReturnInt(0);
}

}  // namespace

std::span<const Export> SpinFloorExports() {
  static constexpr Export kExports[] = {{"spinRoundTrips", SpinRoundTrips}};
  return kExports;
}

}  // namespace logflume
