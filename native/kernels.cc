// Copies and checksums in batches, and the table of memories that the batched calls know by number.
//
// `runCopies` is the busiest call of all: it finds memories in a plain array, allocates nothing,
// and checks a whole batch before its first byte moves.

#include <cstring>

#include "call.h"
#include "crc32c.h"
#include "environment.h"
#include "kinds.h"
#include "memory.h"

namespace logflume {

namespace {

// Far above the handful of regions, caches and buffers that an environment registers.
constexpr size_t kMemoryCountMax = 65536;

using Crc = uint32_t (*)(const uint8_t*, size_t, uint32_t);

template <Crc crc>
napi_value SumRange(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  const Bytes bytes = call.Uint8s(0);
  const int64_t start = call.Size(1);
  const int64_t end = call.Size(2);
  Require(start <= end, "a range does not end before its start");
  Require(end <= static_cast<int64_t>(bytes.byte_length), "a range ends within its bytes");
  return call.ReturnWord(crc(bytes.data + start, static_cast<size_t>(end - start), call.Word(3)));
}

napi_value ImplementationName(napi_env env, napi_callback_info info) {
  return Call<0>(env, info).ReturnText(Crc32cImplementation());
}

napi_value RegisterMemory(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const Bytes view = call.Uint8s(0);
  std::vector<Memory>& memories = call.environment().memories;
  size_t number = 0;
  while (number < memories.size() && memories[number].registered) number++;
  if (number == kMemoryCountMax) return call.ReturnInt(-ENOSPC);
  if (number == memories.size()) memories.emplace_back();

  Memory& memory = memories[number];
  if (napi_create_reference(env, call.Value(0), 1, &memory.pin) != napi_ok) {
    return call.ReturnInt(-ENOMEM);
  }
  memory.data = view.data;
  memory.byte_length = view.byte_length;
  memory.mapping = FindMapping(view.data);
  memory.registered = true;
  return call.ReturnInt(static_cast<int32_t>(number));
}

napi_value UnregisterMemory(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const uint32_t number = call.Word(0);
  std::vector<Memory>& memories = call.environment().memories;
  if (number >= memories.size() || !memories[number].registered) return call.ReturnInt(-EINVAL);
  if (memories[number].in_flight_count > 0) return call.ReturnInt(-EBUSY);
  napi_delete_reference(env, memories[number].pin);
  memories[number] = Memory{};
  return call.ReturnInt(0);
}

// The bytes a row names, or null if it reaches outside. An unregistered number has no bytes.
inline uint8_t* Range(const std::vector<Memory>& memories, uint32_t number, uint32_t offset,
                      uint32_t byte_length) {
  if (number >= memories.size()) return nullptr;
  const Memory& memory = memories[number];
  const uint64_t end = uint64_t{offset} + byte_length;
  return memory.registered && end <= memory.byte_length ? memory.data + offset : nullptr;
}

inline bool Overlap(const uint8_t* source, const uint8_t* target, uint32_t byte_length) {
  return source < target + byte_length && target < source + byte_length;
}

inline bool RowIsValid(const std::vector<Memory>& memories, const uint32_t* row) {
  if (row[0] >= kCopyKindCount) return false;
  const auto kind = static_cast<CopyKind>(row[0]);
  const uint8_t* target = Range(memories, row[3], row[4], row[5]);
  if (target == nullptr) return false;
  if (kind == CopyKind::kSum || kind == CopyKind::kZero) return true;
  const uint8_t* source = Range(memories, row[1], row[2], row[5]);
  return source != nullptr && !Overlap(source, target, row[5]);
}

inline void RunRow(const std::vector<Memory>& memories, const uint32_t* row, uint32_t* crc) {
  uint8_t* target = memories[row[3]].data + row[4];
  const size_t byte_length = row[5];
  switch (static_cast<CopyKind>(row[0])) {
    case CopyKind::kCopy:
      memcpy(target, memories[row[1]].data + row[2], byte_length);
      return;
    case CopyKind::kCopySum:
      *crc = CopyAndCrc32c(target, memories[row[1]].data + row[2], byte_length);
      return;
    case CopyKind::kSum:
      *crc = Crc32c(target, byte_length, 0);
      return;
    case CopyKind::kZero:
      memset(target, 0, byte_length);
      return;
  }
}

napi_value RunCopies(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const size_t count = call.Word(1);
  const auto* jobs = call.Elements<uint32_t>(0, count * kCopyRowWords);
  auto* crcs = call.Elements<uint32_t>(2, count);
  const std::vector<Memory>& memories = call.environment().memories;

  for (size_t i = 0; i < count; i++) {
    if (!RowIsValid(memories, jobs + i * kCopyRowWords)) return call.ReturnInt(-ERANGE);
  }
  for (size_t i = 0; i < count; i++) RunRow(memories, jobs + i * kCopyRowWords, crcs + i);
  return call.ReturnInt(0);
}

}  // namespace

std::span<const Export> KernelExports() {
  static constexpr Export kExports[] = {
      {"crc32c", SumRange<Crc32c>},
      {"crc32cImplementation", ImplementationName},
      {"crc32cPortable", SumRange<Crc32cPortable>},
      {"registerMemory", RegisterMemory},
      {"unregisterMemory", UnregisterMemory},
      {"runCopies", RunCopies},
  };
  return kExports;
}

}  // namespace logflume
