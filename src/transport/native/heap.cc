// Returns to the system what malloc keeps of freed memory. V8 compiles on threads of its own; each leaves some megabytes
// behind in an arena of its own, because glibc raises the limits of what it keeps to twice the largest block ever freed.
//
// keepLittle() fixes those limits; only what is free at the end of an arena counts for them. returnFree() gives back whole
// free pages anywhere, on a thread of libuv's pool: that takes a millisecond or two, of which malloc waits for a part.
// With another C library neither does anything.

#include <node_api.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

// Free bytes at the end of an arena from which on they are returned: what glibc begins with.
constexpr int kKeptBytes = 128 * 1024;
// Blocks from this size on are mappings of their own, which are returned when they are freed. Lower, buffers of usual
// sizes would have their pages mapped anew each time.
constexpr int kMappedBytes = 1024 * 1024;

napi_async_work work = nullptr;

napi_value KeepLittle(napi_env, napi_callback_info) {
#ifdef __GLIBC__
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
#endif
  return nullptr;
}

void Execute(napi_env, void*) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

void Complete(napi_env env, napi_status, void*) {
  napi_delete_async_work(env, work);
  work = nullptr;
}

// Does nothing while it is at it.
napi_value ReturnFree(napi_env env, napi_callback_info) {
  if (work != nullptr) return nullptr;
  napi_value name;
  napi_create_string_utf8(env, "returnFree", NAPI_AUTO_LENGTH, &name);
  if (napi_create_async_work(env, nullptr, name, Execute, Complete, nullptr, &work) != napi_ok) return nullptr;
  napi_queue_async_work(env, work);
  return nullptr;
}

napi_value Init(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"keepLittle", KeepLittle}, {"returnFree", ReturnFree}};
  for (const auto& entry : functions) {
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.function, nullptr, &function);
    napi_set_named_property(env, exports, entry.name, function);
  }
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
