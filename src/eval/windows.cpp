#include "eval/windows.h"

#include <algorithm>
#include <array>

#include "base/sha256.h"

namespace quernel::eval {

namespace {

// White space beyond ASCII, as Unicode lists it: the scripts this convention comes from call a row of it blank.
constexpr std::array<std::string_view, 18> kWideSpaces{
    "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
    "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88",
    "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F"};
constexpr std::string_view kIdeographicSpace = "\xE3\x80\x80";

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= '\x1C' && c <= '\x1F'); }

bool is_blank(std::string_view row) {
  while (!row.empty()) {
    if (is_ascii_space(row.front())) {
      row.remove_prefix(1);
      continue;
    }
    const auto matches = [&](std::string_view space) { return row.starts_with(space); };
    const auto wide = std::find_if(kWideSpaces.begin(), kWideSpaces.end(), matches);
    if (wide != kWideSpaces.end()) {
      row.remove_prefix(wide->size());
    } else if (matches(kIdeographicSpace)) {
      row.remove_prefix(kIdeographicSpace.size());
    } else {
      return false;
    }
  }
  return true;
}

// Lines end with \n, \r\n or \r; each is kept with one \n, the last as it is. Blank ones become empty.
std::string join_rows(std::string_view text) {
  std::string joined;
  joined.reserve(text.size() + text.size() / 64);
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of("\r\n");
    const std::string_view row = text.substr(0, end);
    if (!first) joined += "\n\n";
    first = false;
    const bool has_break = end != std::string_view::npos;
    if (!is_blank(row)) {
      joined += row;
      if (has_break) joined += '\n';
    }
    if (!has_break) break;
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  return joined;
}

void append_little_endian(std::int32_t value, std::vector<std::byte>& bytes) {
  const auto bits = static_cast<std::uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::byte>(bits >> shift & 0xFF));
}

}  // namespace

const char* to_string(Convention convention) { return convention == Convention::gptq ? "gptq" : "llama.cpp"; }

Result<Convention> parse_convention(const std::string& name) {
  if (name == "gptq") return Convention::gptq;
  if (name == "llama.cpp" || name == "llama_cpp" || name == "llama-cpp") return Convention::llama_cpp;
  Error error(Fault::invalid_argument, "unknown perplexity convention");
  return std::move(error).expect("gptq or llama.cpp", name);
}

std::int64_t default_context(Convention convention) { return convention == Convention::gptq ? 2048 : 512; }

std::string prepare_text(Convention convention, std::string_view text) {
  return convention == Convention::gptq ? join_rows(text) : std::string(text);
}

std::vector<std::int32_t> tokenize(Convention convention, const text::Tokenizer& tokenizer, std::string_view text) {
  text::EncodeOptions options;
  options.add_special = true;
  return tokenizer.encode(prepare_text(convention, text), options);
}

Result<WindowPlan> plan_windows(Convention convention, std::int64_t num_tokens, std::int64_t context,
                                std::int64_t max_windows, std::optional<std::int32_t> bos) {
  const bool second_half = convention == Convention::llama_cpp;
  const std::int64_t smallest = second_half ? 4 : 2;
  WindowPlan plan;
  plan.context = context == 0 ? default_context(convention) : context;
  if (plan.context < smallest || max_windows < 0) {
    Error error(Fault::invalid_argument, "windows of a text measure");
    return std::move(error).expect(fmt::format("a context of at least {} and no negative number of windows", smallest),
                                   fmt::format("context {}, windows {}", plan.context, max_windows));
  }
  const std::int64_t possible = num_tokens / plan.context;
  if (possible == 0) {
    Error error(Fault::invalid_argument, "text is too short for one window");
    return std::move(error)
        .expect(fmt::format("{} tokens", plan.context), fmt::format("{} tokens", num_tokens))
        .with_hint("give more text, or a smaller --ctx (figures of different contexts cannot be compared)");
  }
  plan.count = max_windows == 0 ? possible : std::min(possible, max_windows);
  plan.first_scored = second_half ? plan.context / 2 : 0;
  plan.scored_per_window = plan.context - 1 - plan.first_scored;
  if (second_half) plan.bos = bos;
  return plan;
}

std::vector<std::int32_t> window_tokens(const WindowPlan& plan, std::span<const std::int32_t> tokens,
                                        std::int64_t index) {
  QUERNEL_CHECK(index >= 0 && index < plan.count, "window {} of {}", index, plan.count);
  const auto piece =
      tokens.subspan(static_cast<std::size_t>(index * plan.context), static_cast<std::size_t>(plan.context));
  std::vector<std::int32_t> window(piece.begin(), piece.end());
  if (plan.bos.has_value()) window.front() = *plan.bos;
  return window;
}

std::string hash_windows(const WindowPlan& plan, std::span<const std::int32_t> tokens) {
  Sha256 hash;
  std::vector<std::byte> bytes;
  for (std::int64_t index = 0; index < plan.count; ++index) {
    bytes.clear();
    for (const std::int32_t id : window_tokens(plan, tokens, index)) append_little_endian(id, bytes);
    hash.update(bytes);
  }
  return hash.finish_hex();
}

}  // namespace quernel::eval
