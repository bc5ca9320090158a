// Memory runs out at every single allocation of a reader, one after the other: an error each time, never a crash or a leak.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "base/json.h"
#include "gguf_bytes.h"
#include "io/gguf_parser.h"
#include "io/safetensors_header.h"
#include "safetensors_bytes.h"

namespace {

// Counts down to the allocation that fails; below 0 none does.
thread_local long countdown = -1;

}  // namespace

// Not inlined: seen through, they look to the compiler like mismatched pairs.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (countdown >= 0 && countdown-- == 0) throw std::bad_alloc();
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace quernel::io {
namespace {

using namespace test;  // NOLINT: the builders

// Runs until the reader gets through; returns how many allocations it makes.
template <class Read>
long fail_at_every_allocation(const Read& read) {
  constexpr long kMost = 100'000;
  for (long n = 0; n < kMost; ++n) {
    countdown = n;
    auto result = read();
    const bool all_done = countdown >= 0;  // the failing one was never reached
    countdown = -1;
    if (all_done) {
      EXPECT_TRUE(result.ok());
      return n;
    }
    EXPECT_FALSE(result.ok()) << n;
    if (!result.ok()) {
      EXPECT_EQ(result.error().fault, Fault::out_of_memory) << n;
    }
  }
  ADD_FAILURE() << "still failing";
  return kMost;
}

TEST(Allocation, FailsInTheJsonReader) {
  const std::string text =
      R"({"a":[1,2.5,"a string that does not fit into the object",{"b":{}}],"long key of an object":null})";
  const std::string name = "a file name that does not fit into the object";
  EXPECT_GT(fail_at_every_allocation([&] { return parse_json(text, name); }), 10);
}

TEST(Allocation, FailsInTheSafetensorsHeader) {
  const std::string file = safetensors_bytes(
      R"({"__metadata__":{"format":"pt"},"a.tensor.with.a.long.name":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})",
      "dddddddd");
  const std::string name = "a file name that does not fit into the object";
  EXPECT_GT(fail_at_every_allocation([&] { return parse_safetensors_header(as_bytes(file), name); }), 10);
}

TEST(Allocation, FailsInTheGgufHeader) {
  const std::string file = small_gguf().build();
  const std::string name = "a file name that does not fit into the object";
  EXPECT_GT(fail_at_every_allocation([&] { return parse_gguf_header(as_bytes(file), name); }), 10);
}

}  // namespace
}  // namespace quernel::io
