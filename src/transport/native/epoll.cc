// The native transport's half in C++: sockets on an epoll descriptor that libuv watches. Linux only.
//
// One turn: libuv finds the descriptor readable; one epoll_wait, one recv per ready socket into one input buffer, and one
// call into JavaScript with what happened, as records of three integers (see Record). Output is sent at once, as far as
// the system takes it; the rest is copied and goes out when the socket is writable again. Nothing is allocated per request.
//
// A socket is a slot of a table; its number is what JavaScript knows it by. A slot that is closed is used again only after
// the records of this turn were delivered, so that no record is ever of another socket than JavaScript takes it for.
// Events carry the slot's generation, for a socket may be closed by JavaScript between epoll_wait and its event.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <node_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <string>
#include <vector>

namespace {

// Events taken by one epoll_wait, and connections accepted from one listener in a turn.
constexpr int kEventsMax = 512;
constexpr int kAcceptsMax = 128;
// Bytes received from one socket in a turn: a socket that sends without end does not keep the others waiting.
constexpr size_t kReceiveBytes = 64 * 1024;
// With less room than this the records are delivered first.
constexpr size_t kReceiveBytesMin = 16 * 1024;
// Bytes of queued output that are sent in one go.
constexpr size_t kFlushBytes = 1024 * 1024;
// What a client goes on sending when it is closed is read away up to this: unread input would have its last reply dropped.
constexpr size_t kDiscardBytes = 1024 * 1024;
constexpr int kKeepAliveProbes = 3;

// Records: {id, offset, length} is input in the input buffer. Others have one of these numbers in place of the offset.
enum Record : int32_t {
  kEnded = -1,         // {id, kEnded, 0}: the peer has sent its last byte
  kClosed = -2,        // {id, kClosed, 0}: the connection is gone
  kDrained = -3,       // {id, kDrained, 0}: all queued output has been sent
  kAccepted = -4,      // {id, kAccepted, listener * 2 + 1 when the peer is on this machine}
  kAcceptFailed = -5,  // {listener, kAcceptFailed, errno}
};
constexpr size_t kRecordInts = 3;
// What `Accept` returns in place of a slot.
constexpr int32_t kNoneWaits = -1;
constexpr int32_t kFailed = -2;
// Posts: {id, start, end}, a part of a buffer to be sent. Afterwards the end is how many bytes are queued, up to 2^31 - 1.
constexpr size_t kPostInts = 3;

struct Slot {
  int fd = -1;
  uint32_t generation = 0;
  bool isListener = false;
  bool isUnix = false;
  bool isReading = true;
  bool hasEnded = false;
  // Output was lost: whatever else comes of the connection, it is to be told as gone.
  bool hasFailed = false;
  bool closesWhenDrained = false;
  uint32_t events = 0;
  // Of a TCP connection; it is still known when that has failed.
  sockaddr_in6 peer = {};
  // Output that the system has not taken, from `queue_at` on.
  std::string queue;
  size_t queue_at = 0;

  size_t queued() const { return queue.size() - queue_at; }
};

class Loop {
 public:
  napi_env env = nullptr;
  napi_async_context context = nullptr;
  napi_ref callback = nullptr;
  napi_ref input_ref = nullptr;
  napi_ref records_ref = nullptr;
  napi_ref posts_ref = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  uint8_t* input = nullptr;
  size_t input_bytes = 0;
  int32_t* records = nullptr;
  size_t records_max = 0;
  int32_t* posts = nullptr;
  size_t posts_max = 0;
  int epoll_fd = -1;

  bool Start(uv_loop_t* uv) {
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) return false;
    spare_fd_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
    poll_ = new uv_poll_t();
    poll_->data = this;
    if (uv_poll_init(uv, poll_, epoll_fd) != 0) return false;
    if (uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* handle, int, int) {
          static_cast<Loop*>(handle->data)->Run();
        }) != 0)
      return false;
    uv_unref(reinterpret_cast<uv_handle_t*>(poll_));
    return true;
  }

  // The environment ends: nothing is delivered any more.
  void Stop() {
    is_stopped_ = true;
    for (Slot& slot : slots_)
      if (slot.fd >= 0) close(slot.fd);
    if (spare_fd_ >= 0) close(spare_fd_);
    uv_poll_stop(poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(poll_), [](uv_handle_t* handle) {
      Loop* loop = static_cast<Loop*>(handle->data);
      close(loop->epoll_fd);
      napi_remove_async_cleanup_hook(loop->cleanup);
      delete reinterpret_cast<uv_poll_t*>(handle);
      delete loop;
    });
  }

  Slot* Find(int32_t id) {
    if (id < 0 || static_cast<size_t>(id) >= slots_.size() || slots_[id].fd < 0) return nullptr;
    return &slots_[id];
  }

  // Takes over a descriptor. Returns its slot, or -1 with errno when epoll does not take it; then it is closed.
  int32_t Add(int fd, bool is_listener, bool is_unix) {
    int32_t id;
    if (free_.empty()) {
      id = static_cast<int32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    Slot& slot = slots_[id];
    uint32_t generation = slot.generation + 1;
    slot = Slot();
    slot.generation = generation;
    slot.fd = fd;
    slot.isListener = is_listener;
    slot.isUnix = is_unix;
    slot.events = EPOLLIN;
    epoll_event event = EventOf(id, slot);
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
      int error = errno;
      close(fd);
      slot.fd = -1;
      free_.push_back(id);
      errno = error;
      return -1;
    }
    if (open_count_++ == 0) uv_ref(reinterpret_cast<uv_handle_t*>(poll_));
    return id;
  }

  void Close(int32_t id) {
    Slot* slot = Find(id);
    if (slot == nullptr) return;
    close(slot->fd);
    slot->fd = -1;
    std::string().swap(slot->queue);
    slot->queue_at = 0;
    retired_.push_back(id);
    if (--open_count_ == 0) uv_unref(reinterpret_cast<uv_handle_t*>(poll_));
  }

  // Closes after what is queued; then `kClosed` is recorded. Returns whether it is closed already.
  bool End(int32_t id) {
    Slot* slot = Find(id);
    if (slot == nullptr) return true;
    if (slot->queued() > 0) {
      slot->closesWhenDrained = true;
      // Input is not wanted any more.
      slot->isReading = false;
      Watch(id, *slot);
      return false;
    }
    Discard(*slot);
    Close(id);
    return true;
  }

  // Returns how many bytes are queued.
  size_t Send(int32_t id, const uint8_t* bytes, size_t length) {
    Slot* slot = Find(id);
    if (slot == nullptr || slot->closesWhenDrained) return 0;
    size_t sent = 0;
    if (slot->queued() == 0) {
      ssize_t taken = SendSome(slot->fd, bytes, length);
      if (taken < 0 && !IsBusy(errno)) {
        // A connection that has failed is told by its next event. One that still could go on must not: a part is missing.
        if (errno != EPIPE && errno != ECONNRESET) shutdown(slot->fd, SHUT_RDWR);
        slot->hasFailed = true;
        return 0;
      }
      if (taken > 0) sent = static_cast<size_t>(taken);
    }
    if (sent < length) {
      slot->queue.append(reinterpret_cast<const char*>(bytes) + sent, length - sent);
      Watch(id, *slot);
    }
    return slot->queued();
  }

  // Accepts a connection. Returns its slot, with the detail of `kAccepted`; or kNoneWaits; or kFailed, with errno.
  int32_t Accept(int32_t listener, int32_t* detail) {
    for (;;) {
      Slot* slot = Find(listener);
      if (slot == nullptr) return kNoneWaits;
      sockaddr_in6 peer = {};
      socklen_t length = sizeof peer;
      int fd = accept4(slot->fd, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        int error = errno;
        if (IsBusy(error)) return kNoneWaits;
        if (error == EINTR || error == ECONNABORTED) continue;
        if (error == EMFILE || error == ENFILE) Refuse(slot->fd);
        *detail = error;
        return kFailed;
      }
      bool is_unix = slot->isUnix;
      int32_t id = Add(fd, false, is_unix);
      if (id < 0) {
        *detail = errno;
        return kFailed;
      }
      if (!is_unix) slots_[id].peer = peer;
      *detail = listener * 2 + (is_unix || IsLoopback(peer) ? 1 : 0);
      return id;
    }
  }

  void SetReading(int32_t id, bool is_reading) {
    Slot* slot = Find(id);
    if (slot == nullptr) return;
    slot->isReading = is_reading;
    Watch(id, *slot);
  }

 private:
  static epoll_event EventOf(int32_t id, const Slot& slot) {
    epoll_event event = {};
    event.events = slot.events;
    event.data.u64 = (static_cast<uint64_t>(slot.generation) << 32) | static_cast<uint32_t>(id);
    return event;
  }

  static bool IsBusy(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

  static bool IsLoopback(const sockaddr_in6& peer) {
    const uint8_t* bytes = peer.sin6_addr.s6_addr;
    if (peer.sin6_family == AF_INET)
      return *reinterpret_cast<const uint8_t*>(&reinterpret_cast<const sockaddr_in*>(&peer)->sin_addr) == 127;
    if (peer.sin6_family != AF_INET6) return false;
    return IN6_IS_ADDR_LOOPBACK(&peer.sin6_addr) || (IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr) && bytes[12] == 127);
  }

  static ssize_t SendSome(int fd, const void* bytes, size_t length) {
    ssize_t taken;
    do {
      taken = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (taken < 0 && errno == EINTR);
    return taken;
  }

  // Has epoll watch for what is of interest now.
  void Watch(int32_t id, Slot& slot) {
    uint32_t events = 0;
    if (slot.isReading && !slot.hasEnded) events |= EPOLLIN;
    if (slot.queued() > 0) events |= EPOLLOUT;
    // That the peer has closed is told in any case: once is enough, or the loop would never rest until input is wanted.
    if (events == 0) events = EPOLLET;
    if (events == slot.events) return;
    slot.events = events;
    epoll_event event = EventOf(id, slot);
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, slot.fd, &event);
  }

  void Discard(Slot& slot) {
    // All of it has been read.
    if (slot.hasEnded) return;
    shutdown(slot.fd, SHUT_WR);
    char bytes[16 * 1024];
    for (size_t total = 0; total < kDiscardBytes;) {
      ssize_t received = recv(slot.fd, bytes, sizeof bytes, MSG_DONTWAIT);
      if (received <= 0) return;
      total += static_cast<size_t>(received);
    }
  }

  void Run() {
    if (is_stopped_) return;
    free_.insert(free_.end(), retired_.begin(), retired_.end());
    retired_.clear();
    epoll_event events[kEventsMax];
    int ready = epoll_wait(epoll_fd, events, kEventsMax, 0);
    for (int i = 0; i < ready && !is_stopped_; i++) {
      uint32_t id = static_cast<uint32_t>(events[i].data.u64);
      // JavaScript may have closed it while earlier records were delivered.
      if (slots_[id].fd < 0 || slots_[id].generation != static_cast<uint32_t>(events[i].data.u64 >> 32)) continue;
      if (slots_[id].isListener)
        AcceptSome(static_cast<int32_t>(id));
      else
        Serve(static_cast<int32_t>(id), events[i].events);
    }
    Deliver();
  }

  void Serve(int32_t id, uint32_t events) {
    if ((events & EPOLLOUT) != 0 && !Flush(id)) return;
    Slot* slot = &slots_[id];
    if ((events & EPOLLIN) != 0 && slot->isReading && !slot->hasEnded) {
      if (input_bytes - input_used_ < kReceiveBytesMin || record_count_ + 2 > records_max) {
        Deliver();
        slot = Find(id);
        // Delivery may have closed or stopped it.
        if (slot == nullptr || !slot->isReading) return;
      }
      size_t room = input_bytes - input_used_;
      if (room > kReceiveBytes) room = kReceiveBytes;
      ssize_t received;
      do {
        received = recv(slot->fd, input + input_used_, room, MSG_DONTWAIT);
      } while (received < 0 && errno == EINTR);
      if (received > 0) {
        Put(id, static_cast<int32_t>(input_used_), static_cast<int32_t>(received));
        input_used_ += static_cast<size_t>(received);
        return;
      }
      if (received == 0) {
        slot->hasEnded = true;
        Watch(id, *slot);
        Put(id, kEnded, 0);
        return;
      }
      if (IsBusy(errno)) return;
      Lost(id);
      return;
    }
    // What was not read yet is part of a connection that has failed. A unix socket whose peer has just closed it has not:
    // what that has sent before is read when it is wanted, and then comes the end. Only output has nowhere to go.
    if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && (slot->hasFailed || slot->queued() > 0))) Lost(id);
  }

  // Sends what is queued. Returns false when the socket is closed now.
  bool Flush(int32_t id) {
    Slot& slot = slots_[id];
    size_t length = slot.queued() < kFlushBytes ? slot.queued() : kFlushBytes;
    ssize_t taken = SendSome(slot.fd, slot.queue.data() + slot.queue_at, length);
    if (taken < 0) {
      if (IsBusy(errno)) return true;
      Lost(id);
      return false;
    }
    slot.queue_at += static_cast<size_t>(taken);
    if (slot.queued() > 0) {
      // What was sent is given back when it is most of the queue: the rest is moved at most as often as it halves.
      if (slot.queue_at > slot.queue.size() / 2) {
        slot.queue.erase(0, slot.queue_at);
        slot.queue.shrink_to_fit();
        slot.queue_at = 0;
      }
      return true;
    }
    std::string().swap(slot.queue);
    slot.queue_at = 0;
    if (slot.closesWhenDrained) {
      Discard(slot);
      Lost(id);
      return false;
    }
    Watch(id, slot);
    Put(id, kDrained, 0);
    return true;
  }

  void Lost(int32_t id) {
    Close(id);
    Put(id, kClosed, 0);
  }

  void AcceptSome(int32_t listener) {
    for (int i = 0; i < kAcceptsMax; i++) {
      int32_t detail = 0;
      int32_t id = Accept(listener, &detail);
      if (id == kNoneWaits) return;
      if (id == kFailed) {
        Put(listener, kAcceptFailed, detail);
        return;
      }
      Put(id, kAccepted, detail);
    }
  }

  // No more descriptors: a connection that waits is closed, or the listener would be ready for ever.
  void Refuse(int listener_fd) {
    if (spare_fd_ >= 0) close(spare_fd_);
    int fd = accept4(listener_fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) close(fd);
    spare_fd_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
  }

  void Put(int32_t id, int32_t what, int32_t detail) {
    if (record_count_ == records_max) Deliver();
    int32_t* record = records + record_count_++ * kRecordInts;
    record[0] = id;
    record[1] = what;
    record[2] = detail;
  }

  void Deliver() {
    size_t count = record_count_;
    record_count_ = 0;
    input_used_ = 0;
    if (count == 0) return;
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    napi_value function, receiver, argument;
    napi_get_reference_value(env, callback, &function);
    napi_get_global(env, &receiver);
    napi_create_int32(env, static_cast<int32_t>(count), &argument);
    napi_status status = napi_make_callback(env, context, receiver, function, 1, &argument, nullptr);
    if (status == napi_pending_exception) {
      napi_value error;
      napi_get_and_clear_last_exception(env, &error);
      napi_fatal_exception(env, error);
    }
    napi_close_handle_scope(env, scope);
  }

  uv_poll_t* poll_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<int32_t> free_;
  // Closed in this turn.
  std::vector<int32_t> retired_;
  size_t open_count_ = 0;
  size_t record_count_ = 0;
  size_t input_used_ = 0;
  int spare_fd_ = -1;
  bool is_stopped_ = false;
};

// ---- what JavaScript calls ------------------------------------------------------------------------------------------

template <size_t N>
struct Arguments {
  napi_value values[N];
  Loop* loop = nullptr;

  Arguments(napi_env env, napi_callback_info info) {
    size_t count = N;
    napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
    napi_get_instance_data(env, reinterpret_cast<void**>(&loop));
  }
};

int32_t IntOf(napi_env env, napi_value value) {
  int32_t result = -1;
  napi_get_value_int32(env, value, &result);
  return result;
}

bool BoolOf(napi_env env, napi_value value) {
  bool result = false;
  napi_get_value_bool(env, value, &result);
  return result;
}

std::string TextOf(napi_env env, napi_value value) {
  size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

napi_value NumberOf(napi_env env, double number) {
  napi_value result;
  napi_create_double(env, number, &result);
  return result;
}

napi_value TextValue(napi_env env, const std::string& text) {
  napi_value result;
  napi_create_string_utf8(env, text.data(), text.size(), &result);
  return result;
}

// Results of `listen…` below zero are errors of the system.
napi_value Listening(napi_env env, Loop* loop, int fd, bool is_unix) {
  int32_t id = loop->Add(fd, true, is_unix);
  return NumberOf(env, id < 0 ? -errno : id);
}

napi_value Failed(napi_env env, int fd) {
  int error = errno;
  if (fd >= 0) close(fd);
  return NumberOf(env, -error);
}

void KeepAlive(int fd, int seconds) {
  int is_on = seconds > 0 ? 1 : 0;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_on, sizeof is_on);
  if (is_on == 0) return;
  int interval = seconds / kKeepAliveProbes > 0 ? seconds / kKeepAliveProbes : 1;
  int probes = kKeepAliveProbes;
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

// listenTcp(address, port, backlog, keepAlive): the listener's number, or -errno. The address is one of numbers.
napi_value ListenTcp(napi_env env, napi_callback_info info) {
  Arguments<4> args(env, info);
  std::string address = TextOf(env, args.values[0]);
  uint16_t port = htons(static_cast<uint16_t>(IntOf(env, args.values[1])));
  sockaddr_storage storage = {};
  socklen_t length;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = port;
    length = sizeof *v4;
  } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = port;
    length = sizeof *v6;
  } else {
    return NumberOf(env, -EINVAL);
  }
  int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed(env, fd);
  int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (storage.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  // Accepted sockets inherit these: setting them for each would take longer than accepting it.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  KeepAlive(fd, IntOf(env, args.values[3]));
  if (bind(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0) return Failed(env, fd);
  if (listen(fd, IntOf(env, args.values[2])) != 0) return Failed(env, fd);
  return Listening(env, args.loop, fd, false);
}

// listenUnix(path, backlog): the listener's number, or -errno.
napi_value ListenUnix(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  std::string path = TextOf(env, args.values[0]);
  sockaddr_un address = {};
  if (path.size() >= sizeof address.sun_path) return NumberOf(env, -ENAMETOOLONG);
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed(env, fd);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return Failed(env, fd);
  if (listen(fd, IntOf(env, args.values[1])) != 0) return Failed(env, fd);
  return Listening(env, args.loop, fd, true);
}

// Of an IPv4 address too.
std::string AddressText(const sockaddr_in6& address) {
  char text[INET6_ADDRSTRLEN] = "";
  const bool is_v4 = address.sin6_family == AF_INET;
  if (!is_v4 && address.sin6_family != AF_INET6) return "";
  auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
  inet_ntop(address.sin6_family, is_v4 ? static_cast<const void*>(&v4->sin_addr) : &address.sin6_addr, text, sizeof text);
  return std::string(text) + " " + std::to_string(ntohs(is_v4 ? v4->sin_port : address.sin6_port));
}

// acceptNow(listener): twice the number of a connection that has waited, and one more when the peer is on this machine; -1
// when none waits, or it cannot be accepted now: the loop tells why when it goes on.
napi_value AcceptNow(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  int32_t detail = 0;
  int32_t id = args.loop->Accept(IntOf(env, args.values[0]), &detail);
  return NumberOf(env, id < 0 ? -1 : static_cast<double>(id) * 2 + (detail & 1));
}

// address(id, isPeer): `ip port` of one end; '' when there is none.
napi_value Address(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Slot* slot = args.loop->Find(IntOf(env, args.values[0]));
  if (slot == nullptr) return TextValue(env, "");
  if (BoolOf(env, args.values[1])) return TextValue(env, AddressText(slot->peer));
  sockaddr_in6 own = {};
  socklen_t length = sizeof own;
  int failed = getsockname(slot->fd, reinterpret_cast<sockaddr*>(&own), &length);
  return TextValue(env, failed == 0 ? AddressText(own) : "");
}

// send(id, buffer, start, end): bytes that are queued now.
napi_value Send(napi_env env, napi_callback_info info) {
  Arguments<4> args(env, info);
  void* bytes = nullptr;
  size_t length = 0;
  double start = 0;
  double end = 0;
  napi_get_buffer_info(env, args.values[1], &bytes, &length);
  napi_get_value_double(env, args.values[2], &start);
  napi_get_value_double(env, args.values[3], &end);
  if (!(start >= 0 && start <= end && end <= static_cast<double>(length))) {
    napi_throw_range_error(env, nullptr, "send: no such part of the buffer");
    return nullptr;
  }
  size_t queued = args.loop->Send(IntOf(env, args.values[0]), static_cast<uint8_t*>(bytes) + static_cast<size_t>(start),
                                  static_cast<size_t>(end - start));
  return NumberOf(env, static_cast<double>(queued));
}

// sendPosts(buffer, count): sends parts of the buffer, as the first `count` posts say. Returns how many have bytes queued.
napi_value SendPosts(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Loop* loop = args.loop;
  void* bytes = nullptr;
  size_t length = 0;
  napi_get_buffer_info(env, args.values[0], &bytes, &length);
  int32_t count = IntOf(env, args.values[1]);
  if (count < 0 || static_cast<size_t>(count) > loop->posts_max) {
    napi_throw_range_error(env, nullptr, "sendPosts: so many posts there are not");
    return nullptr;
  }
  int32_t unsent = 0;
  for (int32_t i = 0; i < count; i++) {
    int32_t* post = loop->posts + i * kPostInts;
    if (post[1] < 0 || post[2] < post[1] || static_cast<size_t>(post[2]) > length) {
      napi_throw_range_error(env, nullptr, "sendPosts: no such part of the buffer");
      return nullptr;
    }
    size_t queued =
        loop->Send(post[0], static_cast<uint8_t*>(bytes) + post[1], static_cast<size_t>(post[2] - post[1]));
    post[2] = queued < INT32_MAX ? static_cast<int32_t>(queued) : INT32_MAX;
    if (queued > 0) unsent++;
  }
  napi_value result;
  napi_create_int32(env, unsent, &result);
  return result;
}

// queuedBytes(id)
napi_value QueuedBytes(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  Slot* slot = args.loop->Find(IntOf(env, args.values[0]));
  return NumberOf(env, slot == nullptr ? 0 : static_cast<double>(slot->queued()));
}

// readNow(id, buffer): bytes received; 0 when there are none, -1 at the end.
napi_value ReadNow(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Slot* slot = args.loop->Find(IntOf(env, args.values[0]));
  void* bytes = nullptr;
  size_t length = 0;
  napi_get_buffer_info(env, args.values[1], &bytes, &length);
  if (slot == nullptr || !slot->isReading) return NumberOf(env, 0);
  if (slot->hasEnded) return NumberOf(env, -1);
  // The end is told again, and a failure is told, by the loop when it goes on.
  ssize_t received = recv(slot->fd, bytes, length, MSG_DONTWAIT);
  if (received == 0) return NumberOf(env, -1);
  return NumberOf(env, received < 0 ? 0 : static_cast<double>(received));
}

napi_value SetReading(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  args.loop->SetReading(IntOf(env, args.values[0]), BoolOf(env, args.values[1]));
  return nullptr;
}

// end(id): whether it is closed already; else `kClosed` follows.
napi_value End(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  bool is_closed = args.loop->End(IntOf(env, args.values[0]));
  napi_value result;
  napi_get_boolean(env, is_closed, &result);
  return result;
}

// destroy(id): also closes a listener.
napi_value Destroy(napi_env env, napi_callback_info info) {
  Arguments<1> args(env, info);
  args.loop->Close(IntOf(env, args.values[0]));
  return nullptr;
}

// setKeepAlive(id, seconds): 0 turns the probes off.
napi_value SetKeepAlive(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Slot* slot = args.loop->Find(IntOf(env, args.values[0]));
  if (slot != nullptr && !slot->isUnix) KeepAlive(slot->fd, IntOf(env, args.values[1]));
  return nullptr;
}

// setNoDelay(id, isOn)
napi_value SetNoDelay(napi_env env, napi_callback_info info) {
  Arguments<2> args(env, info);
  Slot* slot = args.loop->Find(IntOf(env, args.values[0]));
  if (slot == nullptr || slot->isUnix) return nullptr;
  int is_on = BoolOf(env, args.values[1]) ? 1 : 0;
  setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &is_on, sizeof is_on);
  return nullptr;
}

// start(input: Buffer, records: Int32Array, posts: Int32Array, onRecords: (count) => void): 0, or -errno. Once in an
// environment.
napi_value Start(napi_env env, napi_callback_info info) {
  Arguments<4> args(env, info);
  if (args.loop != nullptr) return NumberOf(env, -EALREADY);
  Loop* loop = new Loop();
  loop->env = env;
  void* bytes = nullptr;
  napi_get_buffer_info(env, args.values[0], &bytes, &loop->input_bytes);
  loop->input = static_cast<uint8_t*>(bytes);
  napi_typedarray_type type;
  size_t ints = 0;
  napi_get_typedarray_info(env, args.values[1], &type, &ints, &bytes, nullptr, nullptr);
  if (type != napi_int32_array || ints < 64 * kRecordInts || loop->input_bytes < kReceiveBytes) {
    delete loop;
    return NumberOf(env, -EINVAL);
  }
  loop->records = static_cast<int32_t*>(bytes);
  loop->records_max = ints / kRecordInts;
  napi_get_typedarray_info(env, args.values[2], &type, &ints, &bytes, nullptr, nullptr);
  if (type != napi_int32_array) {
    delete loop;
    return NumberOf(env, -EINVAL);
  }
  loop->posts = static_cast<int32_t*>(bytes);
  loop->posts_max = ints / kPostInts;
  uv_loop_t* uv = nullptr;
  napi_get_uv_event_loop(env, &uv);
  if (!loop->Start(uv)) return NumberOf(env, -errno);
  napi_create_reference(env, args.values[0], 1, &loop->input_ref);
  napi_create_reference(env, args.values[1], 1, &loop->records_ref);
  napi_create_reference(env, args.values[2], 1, &loop->posts_ref);
  napi_create_reference(env, args.values[3], 1, &loop->callback);
  napi_async_init(env, nullptr, TextValue(env, "millrace:epoll"), &loop->context);
  napi_set_instance_data(env, loop, nullptr, nullptr);
  napi_add_async_cleanup_hook(
      env, [](napi_async_cleanup_hook_handle, void* data) { static_cast<Loop*>(data)->Stop(); }, loop, &loop->cleanup);
  return NumberOf(env, 0);
}

napi_value Init(napi_env env, napi_value exports) {
  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"start", Start},           {"listenTcp", ListenTcp},       {"listenUnix", ListenUnix},
      {"acceptNow", AcceptNow},   {"address", Address},           {"send", Send},
      {"queuedBytes", QueuedBytes},
      {"readNow", ReadNow},       {"setReading", SetReading},     {"end", End},
      {"destroy", Destroy},       {"setKeepAlive", SetKeepAlive}, {"setNoDelay", SetNoDelay},
      {"sendPosts", SendPosts},
  };
  for (const auto& entry : functions) {
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.function, nullptr, &function);
    napi_set_named_property(env, exports, entry.name, function);
  }
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
