// Numbers of the batched calls, the same as in src/bindings/kinds.ts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace logflume {

enum class CopyKind : uint32_t { kCopy = 0, kCopySum = 1, kSum = 2, kZero = 3 };
constexpr uint32_t kCopyKindCount = 4;
constexpr size_t kCopyRowWords = 6;

enum class DiskKind : uint32_t { kRead = 0, kWrite = 1, kSync = 2 };
constexpr uint32_t kDiskKindCount = 3;
constexpr size_t kDiskRowNumbers = 6;

}  // namespace logflume
