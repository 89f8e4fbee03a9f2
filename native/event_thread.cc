// The event thread: epoll on its own thread, callbacks on the event loop.
//
//   epoll thread: epoll_wait -> ready_ (under the mutex) -> one threadsafe call if it was empty
//   event loop:   takes all of ready_ -> callback(token, events) for those still watched
//
// Each watch has a key of its own: token and a generation that grows with every watch. An event
// that was under way when its token was removed, or removed and added anew, has a stale key and
// is dropped, so nothing arrives after `watchRemove`. Watches are one-shot: a descriptor is silent
// from its event until `watchAgain`, so a slow event loop is not flooded.
//
// Node deletes a threadsafe function while its environment ends, whoever still uses it. The thread
// is therefore joined by a cleanup hook that is added after the function was made: hooks run in
// reverse order.

#include "event_thread.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "call.h"
#include "environment.h"

namespace logflume {

namespace {

constexpr int kEventBatch = 64;
constexpr uint64_t kStopKey = UINT64_MAX;

void StopHook(void* data) { static_cast<EventThread*>(data)->Stop(); }

}  // namespace

EventThread::EventThread(napi_env env) : env_(env) {}

std::shared_ptr<EventThread> EventThread::Start(napi_env env, napi_value callback, int* error) {
  std::shared_ptr<EventThread> self(new EventThread(env));
  *error = self->Open(callback, self);
  return *error == 0 ? self : nullptr;
}

int EventThread::Open(napi_value callback, const std::shared_ptr<EventThread>& self) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return NegativeErrno();
  stop_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_event_ < 0) return NegativeErrno();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kStopKey;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_event_, &event) != 0) return NegativeErrno();

  napi_value name = nullptr;
  napi_create_string_utf8(env_, "logflume.events", NAPI_AUTO_LENGTH, &name);
  // The function keeps the thread's object alive until its own queue is gone.
  auto* context = new std::shared_ptr<EventThread>(self);
  const auto finalize = [](napi_env, void*, void* data) {
    delete static_cast<std::shared_ptr<EventThread>*>(data);
  };
  const napi_status status = napi_create_threadsafe_function(
      env_, callback, nullptr, name, /*max_queue_size=*/0, /*initial_thread_count=*/1, context,
      finalize, context, CallJs, &function_);
  if (status != napi_ok) {
    delete context;
    return -ENOMEM;
  }
  napi_unref_threadsafe_function(env_, function_);
  napi_add_env_cleanup_hook(env_, StopHook, this);
  thread_ = std::thread([this] { Run(); });
  return 0;
}

EventThread::~EventThread() {
  Require(!thread_.joinable(), "the event thread was stopped");
  if (epoll_ >= 0) close(epoll_);
  if (stop_event_ >= 0) close(stop_event_);
}

int EventThread::Add(int fd, int32_t token, uint32_t events) {
  if (keys_.contains(token)) return -EEXIST;
  const uint64_t key = (uint64_t{++generation_} << 32) | static_cast<uint32_t>(token);
  epoll_event event{};
  event.events = events | EPOLLONESHOT;
  event.data.u64 = key;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) return NegativeErrno();
  keys_.emplace(token, key);
  return 0;
}

int EventThread::Again(int fd, int32_t token, uint32_t events) {
  const auto found = keys_.find(token);
  if (found == keys_.end()) return -ENOENT;
  epoll_event event{};
  event.events = events | EPOLLONESHOT;
  event.data.u64 = found->second;
  return epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0 ? NegativeErrno() : 0;
}

int EventThread::Remove(int fd, int32_t token) {
  if (keys_.erase(token) == 0) return -ENOENT;
  return epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr) != 0 ? NegativeErrno() : 0;
}

void EventThread::Hold(bool hold) {
  if (function_ == nullptr) return;
  if (hold) {
    napi_ref_threadsafe_function(env_, function_);
  } else {
    napi_unref_threadsafe_function(env_, function_);
  }
}

void EventThread::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  Require(write(stop_event_, &one, sizeof(one)) == sizeof(one), "the stop event is writable");
  thread_.join();
  keys_.clear();
  napi_remove_env_cleanup_hook(env_, StopHook, this);
  // May delete the function at once, and then the context with it.
  napi_release_threadsafe_function(std::exchange(function_, nullptr), napi_tsfn_abort);
}

void EventThread::Run() {
  epoll_event events[kEventBatch];
  for (;;) {
    const int count = epoll_wait(epoll_, events, kEventBatch, -1);
    if (count < 0) {
      Require(errno == EINTR, "the event thread's epoll is valid");
      continue;
    }
    bool was_empty;
    {
      std::lock_guard lock(mutex_);
      was_empty = ready_.empty();
      for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == kStopKey) return;
        ready_.push_back({events[i].data.u64, events[i].events});
      }
    }
    if (was_empty) napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
  }
}

void EventThread::CallJs(napi_env env, napi_value callback, void* context, void*) {
  // Null while the function is torn down: the context may be gone.
  if (env == nullptr) return;
  // A copy, because a callback may stop this thread.
  const std::shared_ptr<EventThread> self = *static_cast<std::shared_ptr<EventThread>*>(context);
  self->Deliver(env, callback);
}

void EventThread::Deliver(napi_env env, napi_value callback) {
  std::vector<Ready> batch;
  {
    std::lock_guard lock(mutex_);
    batch.swap(ready_);
  }
  for (const Ready& ready : batch) {
    const auto found = keys_.find(static_cast<int32_t>(ready.key & UINT32_MAX));
    if (found == keys_.end() || found->second != ready.key) continue;
    if (!CallBack(env, callback, ready)) return;
  }
}

// False if JavaScript can no longer run here.
bool EventThread::CallBack(napi_env env, napi_value callback, const Ready& ready) {
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return false;
  napi_value receiver = nullptr;
  napi_value arguments[2];
  napi_get_undefined(env, &receiver);
  napi_create_int32(env, static_cast<int32_t>(ready.key & UINT32_MAX), &arguments[0]);
  napi_create_uint32(env, ready.events, &arguments[1]);
  napi_status status = napi_call_function(env, receiver, callback, 2, arguments, nullptr);
  if (status == napi_pending_exception) {
    // Left pending it would be swallowed with a mere warning.
    napi_value error = nullptr;
    status = napi_get_and_clear_last_exception(env, &error);
    if (status == napi_ok) status = napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
  return status == napi_ok;
}

namespace {

napi_value WatchStart(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  Environment& environment = call.environment();
  if (environment.event_thread) return call.ReturnInt(-EALREADY);
  int error = 0;
  environment.event_thread = EventThread::Start(env, call.Value(0), &error);
  return call.ReturnInt(error);
}

napi_value WatchAdd(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  EventThread* thread = call.environment().event_thread.get();
  if (thread == nullptr) return call.ReturnInt(-ESRCH);
  return call.ReturnInt(thread->Add(call.Int(0), call.Int(1), call.Word(2)));
}

napi_value WatchAgain(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  EventThread* thread = call.environment().event_thread.get();
  if (thread == nullptr) return call.ReturnInt(-ESRCH);
  return call.ReturnInt(thread->Again(call.Int(0), call.Int(1), call.Word(2)));
}

napi_value WatchRemove(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  EventThread* thread = call.environment().event_thread.get();
  if (thread == nullptr) return call.ReturnInt(-ESRCH);
  return call.ReturnInt(thread->Remove(call.Int(0), call.Int(1)));
}

napi_value WatchHold(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  if (EventThread* thread = call.environment().event_thread.get()) thread->Hold(call.Bool(0));
  return nullptr;
}

napi_value WatchStop(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  // Taken out first: stopping may call back into the environment.
  const std::shared_ptr<EventThread> thread = std::move(call.environment().event_thread);
  if (thread) thread->Stop();
  return nullptr;
}

}  // namespace

std::span<const Export> EventThreadExports() {
  static constexpr Export kExports[] = {
      {"watchStart", WatchStart},   {"watchAdd", WatchAdd},   {"watchAgain", WatchAgain},
      {"watchRemove", WatchRemove}, {"watchHold", WatchHold}, {"watchStop", WatchStop},
  };
  return kExports;
}

}  // namespace logflume
