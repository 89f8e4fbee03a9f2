// Checksum kernels, chosen once by what the running processor has.
//
// The crc32 instruction takes 8 bytes per cycle but answers after 3, so the x86 loop runs three
// independent streams over three neighbouring lanes and joins them: the register after lane A,
// moved over the bytes that follow it, is added (exclusive-or) to the register of those bytes.
// Moving a register over n bytes multiplies it by x^(8n) modulo the polynomial, which is one
// carry-less multiplication by a constant and one crc32 instruction to reduce the product.
//
// In the reflected form used here bit k of a 32-bit word stands for x^(31-k), so the 64-bit
// product of two words stands for their product times x, and crc32 of those 64 bits from 0
// multiplies by another x^32: the constant for n bytes is therefore x^(8n - 33).
//
// This file knows bytes and nothing else.

#include "crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

namespace logflume {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;

using Tables = std::array<std::array<uint32_t, 256>, 8>;

// Table k gives the register after a byte and k zero bytes more.
constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ kPolynomial : crc >> 1;
    tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    for (size_t k = 1; k < 8; k++) {
      const uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

uint64_t Load64(const uint8_t* data) {
  uint64_t word;
  memcpy(&word, data, sizeof(word));
  return word;
}

void Store64(uint8_t* data, uint64_t word) { memcpy(data, &word, sizeof(word)); }

// Slicing by 8. The register is given and returned without the inversions.
uint32_t UpdatePortable(uint32_t crc, const uint8_t* data, size_t byte_length) {
  static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are loaded little-endian");
  for (; byte_length >= 8; data += 8, byte_length -= 8) {
    const uint64_t word = Load64(data) ^ crc;
    crc = kTables[7][word & 0xff] ^ kTables[6][(word >> 8) & 0xff] ^
          kTables[5][(word >> 16) & 0xff] ^ kTables[4][(word >> 24) & 0xff] ^
          kTables[3][(word >> 32) & 0xff] ^ kTables[2][(word >> 40) & 0xff] ^
          kTables[1][(word >> 48) & 0xff] ^ kTables[0][word >> 56];
  }
  for (; byte_length > 0; data++, byte_length--) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ *data) & 0xff];
  }
  return crc;
}

// Sums the target after a plain copy: right for any source, one pass slower.
uint32_t CopyUpdatePortable(uint32_t crc, uint8_t* target, const uint8_t* source,
                            size_t byte_length) {
  memcpy(target, source, byte_length);
  return UpdatePortable(crc, target, byte_length);
}

#if defined(__x86_64__)

// x^exponent modulo the polynomial, reflected.
constexpr uint32_t PowerOfX(size_t exponent) {
  uint32_t power = 0x80000000;
  for (; exponent > 0; exponent--) power = power & 1 ? (power >> 1) ^ kPolynomial : power >> 1;
  return power;
}

// Moves a register over `kBytes` zero bytes.
template <size_t kBytes>
__attribute__((target("sse4.2,pclmul"))) inline uint64_t Move(uint64_t crc) {
  constexpr uint32_t kFactor = PowerOfX(8 * kBytes - 33);
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(crc)),
                                               _mm_cvtsi64_si128(kFactor), 0x00);
  return _mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(product)));
}

// One source word, read exactly once: the compiler may not load it a second time.
template <bool kCopy>
__attribute__((target("sse4.2,pclmul"))) inline uint64_t Step(uint64_t crc, uint8_t* target,
                                                              const uint8_t* source) {
  uint64_t word = Load64(source);
  if constexpr (kCopy) {
    asm("" : "+r"(word));
    Store64(target, word);
  }
  return _mm_crc32_u64(crc, word);
}

// Three lanes of kLaneBytes each.
template <bool kCopy, size_t kLaneBytes>
__attribute__((target("sse4.2,pclmul"))) inline uint64_t Lanes(uint64_t crc, uint8_t* target,
                                                               const uint8_t* source) {
  static_assert(kLaneBytes % 8 == 0 && kLaneBytes >= 8);
  uint64_t second = 0;
  uint64_t third = 0;
  for (size_t at = 0; at < kLaneBytes; at += 8) {
    crc = Step<kCopy>(crc, target + at, source + at);
    second = Step<kCopy>(second, target + kLaneBytes + at, source + kLaneBytes + at);
    third = Step<kCopy>(third, target + 2 * kLaneBytes + at, source + 2 * kLaneBytes + at);
  }
  return Move<2 * kLaneBytes>(crc) ^ Move<kLaneBytes>(second) ^ third;
}

// A block of 4 KiB is one long step and two words; 512 bytes are three short ones less a few words.
constexpr size_t kLongLaneBytes = 1360;
constexpr size_t kShortLaneBytes = 168;

template <bool kCopy>
__attribute__((target("sse4.2,pclmul"))) uint32_t UpdateSse42(uint32_t start, uint8_t* target,
                                                              const uint8_t* source,
                                                              size_t byte_length) {
  uint64_t crc = start;
  const auto advance = [&](size_t step) __attribute__((always_inline)) {
    source += step;
    if constexpr (kCopy) target += step;
    byte_length -= step;
  };
  for (; byte_length >= 3 * kLongLaneBytes; advance(3 * kLongLaneBytes)) {
    crc = Lanes<kCopy, kLongLaneBytes>(crc, target, source);
  }
  for (; byte_length >= 3 * kShortLaneBytes; advance(3 * kShortLaneBytes)) {
    crc = Lanes<kCopy, kShortLaneBytes>(crc, target, source);
  }
  for (; byte_length >= 8; advance(8)) crc = Step<kCopy>(crc, target, source);
  for (; byte_length > 0; advance(1)) {
    uint8_t byte = *source;
    if constexpr (kCopy) {
      asm("" : "+r"(byte));
      *target = byte;
    }
    crc = _mm_crc32_u8(static_cast<uint32_t>(crc), byte);
  }
  return static_cast<uint32_t>(crc);
}

uint32_t UpdateNative(uint32_t crc, const uint8_t* data, size_t byte_length) {
  return UpdateSse42<false>(crc, nullptr, data, byte_length);
}

uint32_t CopyUpdateNative(uint32_t crc, uint8_t* target, const uint8_t* source,
                          size_t byte_length) {
  return UpdateSse42<true>(crc, target, source, byte_length);
}

bool HasNative() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

constexpr const char* kNativeName = "sse4.2";

#elif defined(__aarch64__)

__attribute__((target("+crc"))) uint32_t UpdateNative(uint32_t crc, const uint8_t* data,
                                                      size_t byte_length) {
  for (; byte_length >= 8; data += 8, byte_length -= 8) crc = __crc32cd(crc, Load64(data));
  for (; byte_length > 0; data++, byte_length--) crc = __crc32cb(crc, *data);
  return crc;
}

uint32_t CopyUpdateNative(uint32_t crc, uint8_t* target, const uint8_t* source,
                          size_t byte_length) {
  memcpy(target, source, byte_length);
  return UpdateNative(crc, target, byte_length);
}

bool HasNative() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

constexpr const char* kNativeName = "armv8";

#else

constexpr auto UpdateNative = UpdatePortable;
constexpr auto CopyUpdateNative = CopyUpdatePortable;
bool HasNative() { return false; }
constexpr const char* kNativeName = "portable";

#endif

struct Implementation {
  uint32_t (*update)(uint32_t, const uint8_t*, size_t);
  uint32_t (*copy_update)(uint32_t, uint8_t*, const uint8_t*, size_t);
  const char* name;
};

// Chosen when the addon is loaded.
const Implementation implementation =
    HasNative() ? Implementation{UpdateNative, CopyUpdateNative, kNativeName}
                : Implementation{UpdatePortable, CopyUpdatePortable, "portable"};

}  // namespace

uint32_t Crc32c(const uint8_t* data, size_t byte_length, uint32_t seed) {
  return ~implementation.update(~seed, data, byte_length);
}

uint32_t CopyAndCrc32c(uint8_t* target, const uint8_t* source, size_t byte_length) {
  return ~implementation.copy_update(~uint32_t{0}, target, source, byte_length);
}

uint32_t Crc32cPortable(const uint8_t* data, size_t byte_length, uint32_t seed) {
  return ~UpdatePortable(~seed, data, byte_length);
}

const char* Crc32cImplementation() { return implementation.name; }

}  // namespace logflume
