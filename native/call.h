// One call from JavaScript: its arguments and its result.
//
// Plain Node-API instead of Napi::CallbackInfo, because the batched calls are on the hot path and
// everything here inlines to the C calls. Arguments are checked in src/bindings; a wrong one here
// is our own mistake and ends the process with a claim in words.
#pragma once

#include <node_api.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

namespace logflume {

struct Environment;

inline void Require(bool condition, const char* claim) {
  if (__builtin_expect(!condition, 0)) {
    napi_fatal_error("logflume", NAPI_AUTO_LENGTH, claim, NAPI_AUTO_LENGTH);
  }
}

// The memory behind a typed array. Valid while the array is neither collected nor detached.
struct Bytes {
  uint8_t* data;
  size_t byte_length;
};

inline int NegativeErrno() { return -errno; }

template <size_t Count>
class Call {
 public:
  Call(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = Count;
    void* data = nullptr;
    const napi_status status = napi_get_cb_info(env, info, &count, values_, nullptr, &data);
    Require(status == napi_ok && count >= Count, "a call has all its arguments");
    environment_ = static_cast<Environment*>(data);
  }

  napi_env env() const { return env_; }
  Environment& environment() const { return *environment_; }
  napi_value Value(size_t index) const { return values_[index]; }

  int32_t Int(size_t index) const {
    int32_t value = 0;
    Require(napi_get_value_int32(env_, values_[index], &value) == napi_ok, "argument is a number");
    return value;
  }

  uint32_t Word(size_t index) const {
    uint32_t value = 0;
    Require(napi_get_value_uint32(env_, values_[index], &value) == napi_ok, "argument is a number");
    return value;
  }

  double Number(size_t index) const {
    double value = 0;
    Require(napi_get_value_double(env_, values_[index], &value) == napi_ok, "argument is a number");
    return value;
  }

  // A size, length or position: an integer from 0 to 2^53 - 1.
  int64_t Size(size_t index) const {
    const double value = Number(index);
    Require(value >= 0 && value <= 9007199254740991.0, "argument is a size");
    return static_cast<int64_t>(value);
  }

  bool Bool(size_t index) const {
    bool value = false;
    Require(napi_get_value_bool(env_, values_[index], &value) == napi_ok, "argument is a boolean");
    return value;
  }

  std::string Text(size_t index) const {
    size_t length = 0;
    Require(napi_get_value_string_utf8(env_, values_[index], nullptr, 0, &length) == napi_ok,
            "argument is a string");
    std::string text(length, '\0');
    napi_get_value_string_utf8(env_, values_[index], text.data(), length + 1, &length);
    return text;
  }

  // Whole typed arrays, over an ArrayBuffer or a SharedArrayBuffer alike.
  Bytes View(size_t index, napi_typedarray_type type) const {
    napi_typedarray_type found = type;
    size_t length = 0;
    void* data = nullptr;
    const napi_status status =
        napi_get_typedarray_info(env_, values_[index], &found, &length, &data, nullptr, nullptr);
    Require(status == napi_ok && found == type, "argument is a typed array of the stated kind");
    return {static_cast<uint8_t*>(data), length * ElementBytes(type)};
  }

  Bytes Uint8s(size_t index) const { return View(index, napi_uint8_array); }

  // Elements [0, count) of a typed array that must have that many.
  template <typename Element>
  Element* Elements(size_t index, size_t count) const {
    const Bytes view = View(index, TypeOf(static_cast<Element*>(nullptr)));
    Require(view.byte_length >= count * sizeof(Element), "a typed array is as long as needed");
    return reinterpret_cast<Element*>(view.data);
  }

  napi_value Return(int64_t result) const {
    napi_value value = nullptr;
    napi_create_int64(env_, result, &value);
    return value;
  }

  napi_value ReturnInt(int32_t result) const {
    napi_value value = nullptr;
    napi_create_int32(env_, result, &value);
    return value;
  }

  napi_value ReturnWord(uint32_t result) const {
    napi_value value = nullptr;
    napi_create_uint32(env_, result, &value);
    return value;
  }

  napi_value ReturnText(const char* text) const {
    napi_value value = nullptr;
    napi_create_string_utf8(env_, text, NAPI_AUTO_LENGTH, &value);
    return value;
  }

  // The result of a system call that gives -1 and errno.
  napi_value ReturnCall(int64_t result) const { return Return(result < 0 ? -errno : result); }

 private:
  static constexpr size_t ElementBytes(napi_typedarray_type type) {
    return type == napi_uint8_array ? 1 : type == napi_float64_array ? 8 : 4;
  }
  static constexpr napi_typedarray_type TypeOf(int32_t*) { return napi_int32_array; }
  static constexpr napi_typedarray_type TypeOf(uint32_t*) { return napi_uint32_array; }
  static constexpr napi_typedarray_type TypeOf(double*) { return napi_float64_array; }

  napi_env env_;
  Environment* environment_ = nullptr;
  napi_value values_[Count == 0 ? 1 : Count];
};

// One exported function.
struct Export {
  const char* name;
  napi_callback call;
};

}  // namespace logflume
