// CRC-32C (Castagnoli, reflected, initial value and final exclusive-or all ones).
#pragma once

#include <cstddef>
#include <cstdint>

namespace logflume {

// Continues from `seed`, the checksum of what came before; 0 at the start.
uint32_t Crc32c(const uint8_t* data, size_t byte_length, uint32_t seed);

// Copies `source` to `target` and returns the checksum of the bytes that were stored. Each source
// byte is read once, so a source that changes meanwhile cannot make bytes and checksum disagree.
uint32_t CopyAndCrc32c(uint8_t* target, const uint8_t* source, size_t byte_length);

// The table-driven implementation, whatever the processor can do.
uint32_t Crc32cPortable(const uint8_t* data, size_t byte_length, uint32_t seed);

// `sse4.2`, `armv8` or `portable`: what Crc32c() runs here.
const char* Crc32cImplementation();

}  // namespace logflume
