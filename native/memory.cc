// Shared and private memory outside the JavaScript heap, and its life cycle.
//
// A mapping is wrapped in an external ArrayBuffer and ends in one of three ways: `unmap` (detach,
// then munmap), garbage collection, or the end of the environment. Node runs the finalizer in all
// three, also long after an `unmap`, so the finalizer's holder is the mark: it is empty once the
// mapping was given up. The registry of live mappings is one per process, because a finalizer may
// run when its environment's own data is gone already.
//
// This file does not know what lies in the memory, nor who else maps it.

#include "memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>

#include "call.h"
#include "environment.h"

namespace logflume {

namespace {

// From this size on a mapping can hold huge pages, which spare a big cache most of its TLB misses.
constexpr size_t kHugePageBytes = 2 << 20;

std::atomic<int64_t> mapped_bytes{0};

std::mutex registry_mutex;

std::map<const uint8_t*, std::shared_ptr<Mapping>>& Registry() {
  // Never destroyed: finalizers of other threads may still run while the process exits.
  static auto* registry = new std::map<const uint8_t*, std::shared_ptr<Mapping>>();
  return *registry;
}

// Takes the mapping out of the registry before its address can be mapped anew.
std::shared_ptr<Mapping> TakeFromRegistry(const uint8_t* address) {
  std::lock_guard lock(registry_mutex);
  const auto found = Registry().find(address);
  if (found == Registry().end()) return nullptr;
  std::shared_ptr<Mapping> mapping = std::move(found->second);
  Registry().erase(found);
  return mapping;
}

// Keeps a mapping for its ArrayBuffer until `unmap` or the finalizer empties it.
struct Holder {
  std::weak_ptr<Mapping> mapping;
};

void FinalizeBuffer(napi_env, void*, void* hint) {
  auto* holder = static_cast<Holder*>(hint);
  // Empty after `unmap`: the address may belong to another mapping by now.
  if (const std::shared_ptr<Mapping> mapping = holder->mapping.lock()) {
    const std::shared_ptr<Mapping> registered = TakeFromRegistry(mapping->address());
    Require(registered == mapping || registered == nullptr, "the registry holds this mapping");
  }
  delete holder;
}

// Wraps fresh memory, or unmaps it and returns -ENOTSUP where external buffers are refused.
template <size_t Count>
napi_value WrapMapping(const Call<Count>& call, void* address, size_t byte_length) {
  auto mapping = std::make_shared<Mapping>(address, byte_length);
  auto* holder = new Holder{mapping};
  napi_value buffer = nullptr;
  {
    std::lock_guard lock(registry_mutex);
    Registry()[mapping->address()] = mapping;
  }
  const napi_status status = napi_create_external_arraybuffer(call.env(), address, byte_length,
                                                              FinalizeBuffer, holder, &buffer);
  if (status == napi_ok) return buffer;
  TakeFromRegistry(mapping->address());
  delete holder;
  return call.ReturnInt(status == napi_no_external_buffers_allowed ? -ENOTSUP : -ENOMEM);
}

int CreateMemfd(const std::string& name, int64_t size_bytes) {
  const int fd = memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return NegativeErrno();
  // Allocated now: touching a page of a full machine later would be SIGBUS.
  const bool ready = ftruncate(fd, size_bytes) == 0 && fallocate(fd, 0, 0, size_bytes) == 0 &&
                     fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  if (ready) return fd;
  const int result = NegativeErrno();
  close(fd);
  return result;
}

napi_value MemfdCreate(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return call.ReturnInt(CreateMemfd(call.Text(0), call.Size(1)));
}

napi_value DescribeFd(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  const int fd = call.Int(0);
  double* out = call.Elements<double>(1, 5);
  struct stat status;
  if (fstat(fd, &status) != 0) return call.ReturnInt(NegativeErrno());
  out[0] = static_cast<double>(status.st_size);
  out[1] = fcntl(fd, F_GET_SEALS);
  out[2] = status.st_uid;
  out[3] = status.st_mode & 07777;
  out[4] = S_ISREG(status.st_mode) ? 1 : 0;
  return call.ReturnInt(0);
}

napi_value MapFile(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const int fd = call.Int(0);
  const int64_t size_bytes = call.Size(1);
  const bool populate = call.Bool(2);
  struct stat status;
  if (fstat(fd, &status) != 0) return call.ReturnInt(NegativeErrno());
  // Pages past the end of the file would be SIGBUS at the first touch.
  if (size_bytes == 0 || size_bytes > status.st_size) return call.ReturnInt(-EINVAL);
  const int flags = MAP_SHARED | (populate ? MAP_POPULATE : 0);
  void* address = mmap(nullptr, static_cast<size_t>(size_bytes), PROT_READ | PROT_WRITE, flags, fd,
                       /*offset=*/0);
  if (address == MAP_FAILED) return call.ReturnInt(NegativeErrno());
  return WrapMapping(call, address, static_cast<size_t>(size_bytes));
}

napi_value AllocateAligned(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  const auto byte_length = static_cast<size_t>(call.Size(0));
  if (byte_length == 0) return call.ReturnInt(-EINVAL);
  void* address =
      mmap(nullptr, byte_length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return call.ReturnInt(NegativeErrno());
  // Only a hint: without huge pages everything works, slower.
  if (byte_length >= kHugePageBytes) madvise(address, byte_length, MADV_HUGEPAGE);
  return WrapMapping(call, address, byte_length);
}

bool HasRegisteredMemory(const Environment& environment, const Mapping* mapping) {
  for (const Memory& memory : environment.memories) {
    if (memory.registered && memory.mapping.get() == mapping) return true;
  }
  return false;
}

napi_value Unmap(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  void* data = nullptr;
  size_t byte_length = 0;
  if (napi_get_arraybuffer_info(env, call.Value(0), &data, &byte_length) != napi_ok) {
    return call.ReturnInt(-EINVAL);
  }
  std::shared_ptr<Mapping> mapping = FindMapping(static_cast<uint8_t*>(data));
  if (!mapping || mapping->address() != data || mapping->byte_length() != byte_length) {
    return call.ReturnInt(-EINVAL);
  }
  // The batched calls know registered memory by its address and would touch unmapped pages.
  if (HasRegisteredMemory(call.environment(), mapping.get())) return call.ReturnInt(-EBUSY);
  if (napi_detach_arraybuffer(env, call.Value(0)) != napi_ok) return call.ReturnInt(-EINVAL);
  TakeFromRegistry(mapping->address());
  return call.ReturnInt(0);
}

napi_value MappedBytes(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return call.Return(mapped_bytes.load());
}

}  // namespace

Mapping::Mapping(void* address, size_t byte_length)
    : address_(static_cast<uint8_t*>(address)), byte_length_(byte_length) {
  mapped_bytes += static_cast<int64_t>(byte_length);
}

Mapping::~Mapping() {
  munmap(address_, byte_length_);
  mapped_bytes -= static_cast<int64_t>(byte_length_);
}

std::shared_ptr<Mapping> FindMapping(const uint8_t* address) {
  std::lock_guard lock(registry_mutex);
  auto after = Registry().upper_bound(address);
  if (after == Registry().begin()) return nullptr;
  const std::shared_ptr<Mapping>& mapping = (--after)->second;
  const bool inside = address < mapping->address() + mapping->byte_length();
  return inside ? mapping : nullptr;
}

std::span<const Export> MemoryExports() {
  static constexpr Export kExports[] = {
      {"memfdCreate", MemfdCreate},
      {"describeFd", DescribeFd},
      {"mapFile", MapFile},
      {"allocateAligned", AllocateAligned},
      {"unmap", Unmap},
      {"mappedBytes", MappedBytes},
  };
  return kExports;
}

}  // namespace logflume
