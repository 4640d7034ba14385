// Returns memory that is not needed to the system: what malloc keeps of freed memory, and pages of the program itself.
//
// V8 compiles on threads of its own; each leaves some megabytes behind in an arena of its own, because glibc raises the
// limits of what it keeps to twice the largest block ever freed. keepLittle() fixes those limits; only what is free at the
// end of an arena counts for them. returnFree() gives back whole free pages anywhere, on a thread of libuv's pool: that
// takes a millisecond or two, of which malloc waits for a part. With another C library neither does anything about malloc.
//
// Of Node's 115 MB of code and constants a start touches 55, and a server that runs a few. returnFree() takes the others out
// of the process too. They stay in the system's cache of files, from where they come back, 64 KB at a time, when they are
// needed: some 100 times, 0.1 ms in all.

#include <link.h>
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

// Free bytes at the end of an arena from which on they are returned: what glibc begins with.
constexpr int kKeptBytes = 128 * 1024;
// Blocks from this size on are mappings of their own, which are returned when they are freed. Lower, buffers of usual
// sizes would have their pages mapped anew each time.
constexpr int kMappedBytes = 1024 * 1024;

struct Range {
  size_t start;
  size_t end;
};

napi_async_work work = nullptr;

napi_value KeepLittle(napi_env, napi_callback_info) {
#ifdef __GLIBC__
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
#endif
  return nullptr;
}

// Adds the segments of a program or library that nobody writes to, the dynamic linker included.
int AddReadOnly(dl_phdr_info* info, size_t, void* ranges) {
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const size_t start = info->dlpi_addr + segment.p_vaddr;
    static_cast<std::vector<Range>*>(ranges)->push_back({start, start + segment.p_memsz});
  }
  return 0;
}

// Lets go of what can be read again from the file. A segment that is not of a file any more, as Node's with
// --use-largepages, could not: only what the system lists with a file counts.
void ReturnCode() {
  std::vector<Range> segments;
  dl_iterate_phdr(AddReadOnly, &segments);
  FILE* maps = fopen("/proc/self/maps", "re");
  if (maps == nullptr) return;
  const size_t page = sysconf(_SC_PAGESIZE);
  char* line = nullptr;
  size_t capacity = 0;
  while (getline(&line, &capacity, maps) > 0) {
    Range mapping;
    size_t inode;
    if (sscanf(line, "%zx-%zx %*s %*s %*s %zu", &mapping.start, &mapping.end, &inode) != 3 || inode == 0) continue;
    for (const auto& segment : segments) {
      const size_t start = std::max(mapping.start, (segment.start + page - 1) / page * page);
      const size_t end = std::min(mapping.end, segment.end / page * page);
      if (start < end) madvise(reinterpret_cast<void*>(start), end - start, MADV_DONTNEED);
    }
  }
  free(line);
  fclose(maps);
}

void Execute(napi_env, void*) {
  ReturnCode();
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
