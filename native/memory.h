// Mapped memory that JavaScript sees as external ArrayBuffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace logflume {

// One mapping, unmapped when its last user lets go: the ArrayBuffer, or memory registered in it.
class Mapping {
 public:
  Mapping(void* address, size_t byte_length);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  uint8_t* address() const { return address_; }
  size_t byte_length() const { return byte_length_; }

 private:
  uint8_t* const address_;
  const size_t byte_length_;
};

// The mapping of this process that holds `address`, or none.
std::shared_ptr<Mapping> FindMapping(const uint8_t* address);

}  // namespace logflume
