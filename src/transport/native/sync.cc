// A thread that makes files durable (fdatasync), for replies that wait for it: a request costs one futex call, its end one
// write to a descriptor that libuv watches. The thread pool of libuv takes longer, and may be busy with other work.
//
// Requests have numbers. One fdatasync ends all requests that came before it began. After one that has failed nothing is
// begun until JavaScript has been told: what came meanwhile has failed too, for the system takes for written what it could
// not write, and the next fdatasync would succeed.

#include <errno.h>
#include <node_api.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace {

class Syncer {
 public:
  napi_env env = nullptr;
  napi_async_context context = nullptr;
  napi_ref callback = nullptr;
  napi_ref state_ref = nullptr;
  // The number of the last request that has ended, and errno.
  int32_t* state = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;

  // Returns 0, or an error of libuv; then the object is deleted when libuv has let go of it.
  int Start(uv_loop_t* uv) {
    async_ = new uv_async_t();
    async_->data = this;
    int error = uv_async_init(uv, async_, [](uv_async_t* handle) { static_cast<Syncer*>(handle->data)->Tell(); });
    if (error != 0) {
      delete async_;
      delete this;
      return error;
    }
    uv_unref(reinterpret_cast<uv_handle_t*>(async_));
    error = uv_thread_create(&thread_, [](void* data) { static_cast<Syncer*>(data)->Run(); }, this);
    if (error != 0) CloseHandle();
    return error;
  }

  // The environment ends: nothing is told any more.
  void Stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      is_stopped_ = true;
    }
    wanted_.notify_one();
    uv_thread_join(&thread_);
    CloseHandle();
  }

  // Returns the request's number, or 0 while requests for another file are under way.
  uint32_t Request(int fd) {
    uint32_t number;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (fd != fd_ && told_ != requested_) return 0;
      fd_ = fd;
      // 0 stands for a refusal.
      if (++requested_ == 0) ++requested_;
      number = requested_;
    }
    wanted_.notify_one();
    uv_ref(reinterpret_cast<uv_handle_t*>(async_));
    return number;
  }

  // Whether requests have ended that JavaScript does not know of yet. If so, `state` says which, and how.
  bool Collect() {
    if (ended_.load(std::memory_order_acquire) == told_) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (error_ != 0) ended_ = requested_;
      told_ = ended_;
      state[0] = static_cast<int32_t>(told_);
      state[1] = error_;
      if (error_ == 0 && told_ != requested_) return true;
      error_ = 0;
    }
    uv_unref(reinterpret_cast<uv_handle_t*>(async_));
    return true;
  }

 private:
  void CloseHandle() {
    uv_close(reinterpret_cast<uv_handle_t*>(async_), [](uv_handle_t* handle) {
      Syncer* syncer = static_cast<Syncer*>(handle->data);
      if (syncer->cleanup != nullptr) napi_remove_async_cleanup_hook(syncer->cleanup);
      delete reinterpret_cast<uv_async_t*>(handle);
      delete syncer;
    });
  }

  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wanted_.wait(lock, [this] { return is_stopped_ || (error_ == 0 && requested_ != ended_); });
      if (is_stopped_) return;
      uint32_t number = requested_;
      int fd = fd_;
      lock.unlock();
      int error = 0;
      while (fdatasync(fd) != 0) {
        error = errno;
        if (error != EINTR) break;
        error = 0;
      }
      lock.lock();
      error_ = error;
      ended_.store(number, std::memory_order_release);
      lock.unlock();
      uv_async_send(async_);
      lock.lock();
    }
  }

  void Tell() {
    // It may be known already, by `collect`.
    if (!Collect()) return;
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    napi_value function, receiver;
    napi_get_reference_value(env, callback, &function);
    napi_get_global(env, &receiver);
    napi_status status = napi_make_callback(env, context, receiver, function, 0, nullptr, nullptr);
    if (status == napi_pending_exception) {
      napi_value thrown;
      napi_get_and_clear_last_exception(env, &thrown);
      napi_fatal_exception(env, thrown);
    }
    napi_close_handle_scope(env, scope);
  }

  uv_async_t* async_ = nullptr;
  uv_thread_t thread_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  // The numbers of the last request, of the last one that has ended, and of the last one that JavaScript knows to have.
  uint32_t requested_ = 0;
  std::atomic<uint32_t> ended_{0};
  uint32_t told_ = 0;
  int fd_ = -1;
  int error_ = 0;
  bool is_stopped_ = false;
};

// start(state: Int32Array, onEnd: () => void): 0, or -errno. Once in an environment. `state` is set when `onEnd` is called.
napi_value Start(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2], result, name;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  void* before = nullptr;
  napi_get_instance_data(env, &before);
  napi_typedarray_type type;
  size_t ints = 0;
  void* state = nullptr;
  napi_get_typedarray_info(env, arguments[0], &type, &ints, &state, nullptr, nullptr);
  int error = 0;
  if (before != nullptr) {
    error = EALREADY;
  } else if (type != napi_int32_array || ints < 2) {
    error = EINVAL;
  } else {
    Syncer* syncer = new Syncer();
    syncer->env = env;
    syncer->state = static_cast<int32_t*>(state);
    uv_loop_t* uv = nullptr;
    napi_get_uv_event_loop(env, &uv);
    error = -syncer->Start(uv);
    if (error == 0) {
      napi_create_reference(env, arguments[0], 1, &syncer->state_ref);
      napi_create_reference(env, arguments[1], 1, &syncer->callback);
      napi_create_string_utf8(env, "millrace:sync", NAPI_AUTO_LENGTH, &name);
      napi_async_init(env, nullptr, name, &syncer->context);
      napi_set_instance_data(env, syncer, nullptr, nullptr);
      napi_add_async_cleanup_hook(
          env, [](napi_async_cleanup_hook_handle, void* data) { static_cast<Syncer*>(data)->Stop(); }, syncer,
          &syncer->cleanup);
    }
  }
  napi_create_int32(env, -error, &result);
  return result;
}

Syncer* SyncerOf(napi_env env) {
  void* syncer = nullptr;
  napi_get_instance_data(env, &syncer);
  return static_cast<Syncer*>(syncer);
}

// request(fd): the request's number, or 0 while requests for another file are under way.
napi_value Request(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument, result;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  int32_t fd = -1;
  napi_get_value_int32(env, argument, &fd);
  napi_create_uint32(env, SyncerOf(env)->Request(fd), &result);
  return result;
}

// collect(): whether requests have ended since the last time, without waiting for the loop. `onEnd` is not called for them.
napi_value Collect(napi_env env, napi_callback_info) {
  napi_value result;
  napi_get_boolean(env, SyncerOf(env)->Collect(), &result);
  return result;
}

napi_value Init(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {{"start", Start}, {"request", Request}, {"collect", Collect}};
  for (const auto& entry : functions) {
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.function, nullptr, &function);
    napi_set_named_property(env, exports, entry.name, function);
  }
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
