{
  "variables": {"sanitizes%": "0"},
  "target_defaults": {
    "defines": ["NAPI_VERSION=8"],
    "cflags_cc": ["-std=c++17", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden"],
    "conditions": [
      ["sanitizes==1", {"cflags_cc": ["-fsanitize=address", "-g"], "ldflags": ["-fsanitize=address"]}]
    ]
  },
  "targets": [
    {"target_name": "epoll", "sources": ["epoll.cc"]},
    {"target_name": "heap", "sources": ["heap.cc"]},
    {"target_name": "sync", "sources": ["sync.cc"]}
  ]
}
