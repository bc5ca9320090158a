// Preloaded into a process under test: ends it with SIGKILL just before the N-th call that changes the file system
// (QUERNEL_KILL_AT), or writes how many there were to a file (QUERNEL_KILL_COUNT). Crash points become numbers, so a test can walk
// through all of them.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace {

std::atomic<long> calls{0};

void step() {
  static const char* at = std::getenv("QUERNEL_KILL_AT");
  const long now = ++calls;
  if (at != nullptr && now == std::atol(at)) ::raise(SIGKILL);
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

[[gnu::destructor]] void report() {
  const char* path = std::getenv("QUERNEL_KILL_COUNT");
  if (path == nullptr) return;
  std::FILE* file = std::fopen(path, "w");
  if (file == nullptr) return;
  std::fprintf(file, "%ld\n", calls.load());
  std::fclose(file);
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) ssize_t write(int descriptor, const void* data, size_t size) {
  static auto* original = next<ssize_t(int, const void*, size_t)>("write");
  if (descriptor > STDERR_FILENO) step();
  return original(descriptor, data, size);
}

__attribute__((visibility("default"))) int fsync(int descriptor) {
  static auto* original = next<int(int)>("fsync");
  step();
  return original(descriptor);
}

__attribute__((visibility("default"))) int rename(const char* from, const char* to) {
  static auto* original = next<int(const char*, const char*)>("rename");
  step();
  return original(from, to);
}

__attribute__((visibility("default"))) int unlink(const char* path) {
  static auto* original = next<int(const char*)>("unlink");
  step();
  return original(path);
}

__attribute__((visibility("default"))) int open(const char* path, int flags, ...) {
  static auto* original = next<int(const char*, int, mode_t)>("open");
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(rest, int)) : 0;
  va_end(rest);
  if ((flags & O_CREAT) != 0) step();
  return original(path, flags, mode);
}

}  // extern "C"
