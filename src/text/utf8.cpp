#include "text/utf8.h"

#include <algorithm>

namespace quernel::text {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";

// Bytes at `at` that are a prefix of some valid sequence, at least 1. What stands there is not valid as a whole.
std::size_t valid_prefix(const char* at, const char* end) {
  const std::uint32_t lead = static_cast<unsigned char>(*at);
  if (lead < 0xC2 || lead > 0xF4 || end - at < 2) return 1;
  const std::uint32_t second = static_cast<unsigned char>(at[1]);
  const std::uint32_t low = lead == 0xE0 ? 0xA0U : lead == 0xF0 ? 0x90U : 0x80U;
  const std::uint32_t high = lead == 0xED ? 0x9FU : lead == 0xF4 ? 0x8FU : 0xBFU;
  if (second < low || second > high || lead < 0xE0) return 1;
  if (lead < 0xF0 || end - at < 3 || !detail::is_tail(at[2])) return 2;
  return 3;
}

}  // namespace

std::size_t incomplete_tail(std::string_view text) {
  const char* end = text.data() + text.size();
  const std::size_t reach = std::min<std::size_t>(text.size(), 3);
  for (std::size_t back = 1; back <= reach; ++back) {
    const char* at = end - back;
    if (detail::is_tail(*at)) continue;
    const std::uint32_t lead = static_cast<unsigned char>(*at);
    const std::size_t needs = lead < 0xC2 || lead > 0xF4 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    return needs > back && valid_prefix(at, end) == back ? back : 0;
  }
  return 0;
}

std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    const Decoded here = decode_utf8(at, end);
    if (here.valid()) {
      out.append(at, here.length);
      at += here.length;
    } else {
      out += kReplacement;
      at += valid_prefix(at, end);
    }
  }
  return out;
}

}  // namespace quernel::text
