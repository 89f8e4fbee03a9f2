// The addon's entry: one Environment per JavaScript environment that loads it, and its exports.
//
// The Environment travels as the data of each function, so that a call finds it for nothing. It is
// closed by a cleanup hook, when JavaScript has stopped for good but the heap is still whole, and
// freed as instance data, after which none of the functions can be called.

#include <napi.h>
#include <unistd.h>

#include "disk_queue.h"
#include "environment.h"
#include "event_thread.h"

namespace logflume {

Environment::Environment(napi_env env) : env(env) {}

Environment::~Environment() { Close(); }

void Environment::Close() {
  if (event_thread) event_thread->Stop();
  event_thread.reset();
  // Waits for operations in flight: they may still write into registered memory.
  disk_queues.clear();
  for (const int file : files) close(file);
  files.clear();
  for (const int poller : pollers) close(poller);
  pollers.clear();
  // The pins belong to the environment that is ending; it deletes them.
  memories.clear();
}

namespace {

void AddExports(Napi::Env env, Napi::Object exports, Environment* environment,
                std::span<const Export> functions) {
  for (const Export& function : functions) {
    napi_value value = nullptr;
    const napi_status status = napi_create_function(env, function.name, NAPI_AUTO_LENGTH,
                                                    function.call, environment, &value);
    Require(status == napi_ok, "a function can be made");
    exports.Set(function.name, Napi::Value(env, value));
  }
}

}  // namespace

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(env);
  env.SetInstanceData<Environment>(environment);
  env.AddCleanupHook([](Environment* data) { data->Close(); }, environment);
  for (const auto functions :
       {MemoryExports(), KernelExports(), FileExports(), SocketExports(), WaitingExports(),
        EventThreadExports(), DiskQueueExports(), SpinFloorExports()}) {
    AddExports(env, exports, environment, functions);
  }
  return exports;
}

}  // namespace logflume

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return logflume::Init(env, exports);
}

NODE_API_MODULE(logflume, Init)
