// Descriptors of files, one system call each, on the calling thread: open, lock, preallocate, sync
// and whole positioned transfers for cold paths. The hot path's I/O is disk_queue.cc.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "call.h"
#include "environment.h"

namespace logflume {

namespace {

// What statx(2) reports, as far as direct I/O is concerned. Written out because the C library's
// struct has these fields only where it was built with newer kernel headers than some users have.
struct StatxDirectIo {
  uint32_t mask;
  uint8_t other[148];
  uint32_t memory_alignment_bytes;
  uint32_t offset_alignment_bytes;
  uint8_t rest[96];
};
static_assert(sizeof(StatxDirectIo) == 256);
constexpr uint32_t kStatxDirectIo = 0x2000;
constexpr int kAtEmptyPath = 0x1000;

napi_value OpenFile(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  const std::string path = call.Text(0);
  const int fd = open(path.c_str(), call.Int(1) | O_CLOEXEC, call.Word(2));
  if (fd < 0) return call.ReturnInt(NegativeErrno());
  call.environment().files.insert(fd);
  return call.ReturnInt(fd);
}

// A descriptor that came from elsewhere is let go like one opened here.
napi_value AdoptFd(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  call.environment().files.insert(call.Int(0));
  return call.ReturnInt(0);
}

napi_value CloseFd(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  call.environment().files.erase(call.Int(0));
  return call.ReturnCall(close(call.Int(0)));
}

napi_value DuplicateFd(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.ReturnCall(fcntl(call.Int(0), F_DUPFD_CLOEXEC, 0));
}

napi_value LockFile(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.ReturnCall(flock(call.Int(0), LOCK_EX | LOCK_NB));
}

napi_value AllocateFile(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  int result;
  do {
    result = fallocate(call.Int(0), call.Int(1), call.Size(2), call.Size(3));
  } while (result != 0 && errno == EINTR);
  return call.ReturnCall(result);
}

napi_value TruncateFile(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return call.ReturnCall(ftruncate(call.Int(0), call.Size(1)));
}

napi_value SyncData(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.ReturnCall(fdatasync(call.Int(0)));
}

napi_value SyncFile(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.ReturnCall(fsync(call.Int(0)));
}

// Continues short transfers until all is done, the file ends, or an error. After direct I/O was cut
// short in the middle of a sector the file has ended, and asking on would be EINVAL.
template <typename Transfer>
napi_value TransferAll(napi_env env, napi_callback_info info, Transfer transfer) {
  const Call<3> call(env, info);
  const int fd = call.Int(0);
  const Bytes bytes = call.Uint8s(1);
  const int64_t position_bytes = call.Size(2);
  size_t done_bytes = 0;
  while (done_bytes < bytes.byte_length) {
    const ssize_t n = transfer(fd, bytes.data + done_bytes, bytes.byte_length - done_bytes,
                               position_bytes + static_cast<int64_t>(done_bytes));
    if (n > 0) {
      done_bytes += static_cast<size_t>(n);
    } else if (n == 0 || (errno == EINVAL && done_bytes % 512 != 0)) {
      break;
    } else if (errno != EINTR) {
      return call.ReturnInt(NegativeErrno());
    }
  }
  return call.Return(static_cast<int64_t>(done_bytes));
}

napi_value ReadAt(napi_env env, napi_callback_info info) {
  return TransferAll(env, info, [](int fd, uint8_t* data, size_t byte_length, off_t position) {
    return pread(fd, data, byte_length, position);
  });
}

napi_value WriteAt(napi_env env, napi_callback_info info) {
  return TransferAll(env, info, [](int fd, uint8_t* data, size_t byte_length, off_t position) {
    return pwrite(fd, data, byte_length, position);
  });
}

napi_value DirectAlignment(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  double* out = call.Elements<double>(1, 2);
  StatxDirectIo status{};
  if (syscall(SYS_statx, call.Int(0), "", kAtEmptyPath, kStatxDirectIo, &status) != 0) {
    return call.ReturnInt(NegativeErrno());
  }
  const bool known = (status.mask & kStatxDirectIo) != 0;
  out[0] = known ? status.memory_alignment_bytes : 0;
  out[1] = known ? status.offset_alignment_bytes : 0;
  return call.ReturnInt(0);
}

}  // namespace

std::span<const Export> FileExports() {
  static constexpr Export kExports[] = {
      {"openFile", OpenFile},         {"adoptFd", AdoptFd},
      {"closeFd", CloseFd},           {"duplicateFd", DuplicateFd},
      {"lockFile", LockFile},         {"allocateFile", AllocateFile},
      {"truncateFile", TruncateFile}, {"syncData", SyncData},
      {"syncFile", SyncFile},         {"readAt", ReadAt},
      {"writeAt", WriteAt},           {"directAlignment", DirectAlignment},
  };
  return kExports;
}

}  // namespace logflume
