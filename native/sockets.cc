// Unix stream sockets that carry descriptors (SCM_RIGHTS) and tell who the peer is.
//
// Everything but `socketConnect` is non-blocking. Received descriptors are never leaked: what the
// caller has no room for, and whatever arrives in a message whose control data was cut off, is
// closed here. This file does not know what the messages say.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "call.h"
#include "environment.h"

namespace logflume {

namespace {

// The kernel's limit per message.
constexpr size_t kFdsPerMessageMax = 253;

// A connect waits while the listener's backlog is full; a stopped host must not hold us for ever.
constexpr timeval kConnectTimeout = {1, 0};

using ControlBuffer = uint8_t[CMSG_SPACE(sizeof(int) * kFdsPerMessageMax)];

// False if the path does not fit the address.
bool MakeAddress(const std::string& path, sockaddr_un* address) {
  memset(address, 0, sizeof(*address));
  address->sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address->sun_path)) return false;
  memcpy(address->sun_path, path.data(), path.size());
  return true;
}

// Closes `fd` and returns what errno said before.
int Abandon(int fd) {
  const int result = NegativeErrno();
  close(fd);
  return result;
}

int Listen(const std::string& path, mode_t mode, int backlog) {
  sockaddr_un address;
  if (!MakeAddress(path, &address)) return -ENAMETOOLONG;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return NegativeErrno();
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return Abandon(fd);
  // Nobody can connect before listen, so nobody gets in under the mode that bind chose.
  if (chmod(path.c_str(), mode) == 0 && listen(fd, backlog) == 0) return fd;
  const int result = Abandon(fd);
  unlink(path.c_str());
  return result;
}

int Connect(const std::string& path) {
  sockaddr_un address;
  if (!MakeAddress(path, &address)) return -ENAMETOOLONG;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return NegativeErrno();
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kConnectTimeout, sizeof(kConnectTimeout));
  int result;
  do {
    result = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    if (errno == EAGAIN) errno = ETIMEDOUT;
    return Abandon(fd);
  }
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return Abandon(fd);
  return fd;
}

napi_value SocketListen(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return call.ReturnInt(Listen(call.Text(0), call.Word(1), call.Int(2)));
}

napi_value SocketAccept(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  int fd;
  do {
    fd = accept4(call.Int(0), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  return call.ReturnCall(fd);
}

napi_value SocketConnect(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.ReturnInt(Connect(call.Text(0)));
}

// The part of a view that a send or receive is about.
template <size_t Count>
iovec RangeOf(const Call<Count>& call) {
  const Bytes bytes = call.Uint8s(1);
  const int64_t start = call.Size(2);
  const int64_t end = call.Size(3);
  Require(start < end, "a transfer has at least one byte");
  Require(end <= static_cast<int64_t>(bytes.byte_length), "a range ends within its bytes");
  return {bytes.data + start, static_cast<size_t>(end - start)};
}

napi_value SocketSend(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  iovec range = RangeOf(call);
  const Bytes fds = call.View(4, napi_int32_array);
  Require(fds.byte_length <= sizeof(int) * kFdsPerMessageMax, "a message has at most 253 fds");

  msghdr message{};
  message.msg_iov = &range;
  message.msg_iovlen = 1;
  alignas(cmsghdr) ControlBuffer control{};
  if (fds.byte_length > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.byte_length);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.byte_length);
    memcpy(CMSG_DATA(header), fds.data, fds.byte_length);
  }
  ssize_t n;
  do {
    n = sendmsg(call.Int(0), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  return call.ReturnCall(n);
}

// The caller's array of descriptors: fds[0] counts, the rest follow.
struct FdList {
  int32_t* fds;
  size_t count_max;

  bool Append(int fd) {
    const auto count = static_cast<size_t>(fds[0]);
    if (count >= count_max) return false;
    fds[1 + count] = fd;
    fds[0]++;
    return true;
  }
};

// Appends or closes every descriptor of the message. True if all were wanted.
bool TakeDescriptors(msghdr* message, FdList list) {
  const bool cut_off = (message->msg_flags & MSG_CTRUNC) != 0;
  bool all_taken = !cut_off;
  for (cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr;
       header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
      if (!cut_off && list.Append(fd)) continue;
      close(fd);
      all_taken = false;
    }
  }
  return all_taken;
}

napi_value SocketReceive(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  iovec range = RangeOf(call);
  const Bytes fds = call.View(4, napi_int32_array);
  const FdList list = {reinterpret_cast<int32_t*>(fds.data), fds.byte_length / sizeof(int) - 1};
  Require(fds.byte_length >= sizeof(int), "the list of fds has a count");
  Require(list.fds[0] >= 0, "the count of fds is not negative");

  alignas(cmsghdr) ControlBuffer control;
  msghdr message{};
  message.msg_iov = &range;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t n;
  do {
    n = recvmsg(call.Int(0), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return call.ReturnInt(NegativeErrno());
  if (!TakeDescriptors(&message, list)) return call.ReturnInt(-EPROTO);
  return call.Return(n);
}

napi_value SocketPeer(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  int32_t* out = call.Elements<int32_t>(1, 3);
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(call.Int(0), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return call.ReturnInt(NegativeErrno());
  }
  out[0] = peer.pid;
  out[1] = static_cast<int32_t>(peer.uid);
  out[2] = static_cast<int32_t>(peer.gid);
  return call.ReturnInt(0);
}

napi_value SocketShutdown(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return call.ReturnCall(shutdown(call.Int(0), SHUT_RDWR));
}

}  // namespace

std::span<const Export> SocketExports() {
  static constexpr Export kExports[] = {
      {"socketListen", SocketListen},     {"socketAccept", SocketAccept},
      {"socketConnect", SocketConnect},   {"socketSend", SocketSend},
      {"socketReceive", SocketReceive},   {"socketPeer", SocketPeer},
      {"socketShutdown", SocketShutdown},
  };
  return kExports;
}

}  // namespace logflume
