// One epoll thread per environment that turns ready descriptors into callbacks on the event loop.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

namespace logflume {

class EventThread {
 public:
  // Starts the thread. Null, with `*error` set to -errno, if that fails.
  static std::shared_ptr<EventThread> Start(napi_env env, napi_value callback, int* error);
  ~EventThread();
  EventThread(const EventThread&) = delete;
  EventThread& operator=(const EventThread&) = delete;

  // All of these on the JavaScript thread; 0 or -errno.
  int Add(int fd, int32_t token, uint32_t events);
  int Again(int fd, int32_t token, uint32_t events);
  int Remove(int fd, int32_t token);
  void Hold(bool hold);
  // Joins the thread; no callback starts afterwards. A second call does nothing.
  void Stop();

 private:
  struct Ready {
    uint64_t key;
    uint32_t events;
  };

  explicit EventThread(napi_env env);
  int Open(napi_value callback, const std::shared_ptr<EventThread>& self);
  void Run();
  void Deliver(napi_env env, napi_value callback);
  bool CallBack(napi_env env, napi_value callback, const Ready& ready);
  static void CallJs(napi_env env, napi_value callback, void* context, void* data);

  const napi_env env_;
  int epoll_ = -1;
  int stop_event_ = -1;
  napi_threadsafe_function function_ = nullptr;
  std::thread thread_;

  std::mutex mutex_;
  std::vector<Ready> ready_;  // Guarded by mutex_.

  // JavaScript thread only: the key under which each token is watched now.
  std::unordered_map<int32_t, uint64_t> keys_;
  uint32_t generation_ = 0;
};

}  // namespace logflume
