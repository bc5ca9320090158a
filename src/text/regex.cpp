#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>

#include "text/limits.h"
#include "text/utf8.h"

namespace quernel::text {
namespace {

// Enough for real patterns on long pieces; a hostile pattern stops after about a second.
constexpr std::uint32_t kMatchLimit = 10'000'000;
constexpr std::uint32_t kDepthLimit = 10'000;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;
constexpr std::uint32_t kNestLimit = 100;

struct Free {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};

template <class T>
using Owned = std::unique_ptr<T, Free>;

// Where Oniguruma and PCRE2 read the same text differently; npos if nowhere.
std::size_t foreign_syntax(std::string_view pattern) {
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\') {
      ++i;
      if (i < pattern.size() && std::string_view("hHRXKuQEGZ").find(pattern[i]) != std::string_view::npos) return i - 1;
    } else if (in_class) {
      if (c == '[' && (i + 1 >= pattern.size() || pattern[i + 1] != ':')) return i;  // a set inside a set
      if (c == '&' && pattern.substr(i, 2) == "&&") return i;
      in_class = c != ']';
    } else if (c == '[') {
      in_class = true;
      if (pattern.substr(i, 2) == "[^") ++i;
      if (pattern.substr(i + 1, 1) == "]") ++i;  // a bracket in first place is a member
    }
  }
  return std::string_view::npos;
}

Error refused(const std::string& pattern, std::size_t position, const std::string& why) {
  return Error(Fault::unsupported, fmt::format("cannot run the regular expression '{}': {} at byte {}", pattern, why, position))
      .with_hint("hand-written rules: " + known_split_rules());
}

}  // namespace

struct Regex::Code {
  Owned<pcre2_code> code;
  Owned<pcre2_match_context> match;
};

Result<Regex> Regex::compile(const std::string& pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return Error(Fault::limit_exceeded, "regular expression too long")
        .expect(fmt::format("at most {} bytes", kMaxPatternBytes), std::to_string(pattern.size()));
  }
  if (const std::size_t foreign = foreign_syntax(pattern); foreign != std::string_view::npos) {
    return refused(pattern, foreign, "syntax with another meaning here");
  }
  const Owned<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
  pcre2_set_parens_nest_limit(context.get(), kNestLimit);
  int error = 0;
  PCRE2_SIZE error_offset = 0;
  const auto* text = reinterpret_cast<PCRE2_SPTR>(pattern.data());
  constexpr std::uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
  auto code = std::make_shared<Code>();
  code->code.reset(pcre2_compile(text, pattern.size(), kOptions, &error, &error_offset, context.get()));
  if (!code->code) {
    std::array<PCRE2_UCHAR, 128> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    return refused(pattern, error_offset, reinterpret_cast<const char*>(message.data()));
  }
  // Without JIT (memory forbidden to be executable) the interpreter gives the same matches.
  pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE);
  code->match.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(code->match.get(), kMatchLimit);
  pcre2_set_depth_limit(code->match.get(), kDepthLimit);
  pcre2_set_heap_limit(code->match.get(), kHeapLimitKib);
  return Regex(std::move(code));
}

Match Regex::find(std::string_view text, const char* at) const {
  // One result a thread: making it costs as much as a short match.
  thread_local const Owned<pcre2_match_data> result(pcre2_match_data_create(1, nullptr));
  if (!result) return {};
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const int groups = pcre2_match(code_->code.get(), subject, text.size(), static_cast<PCRE2_SIZE>(at - text.data()),
                                 PCRE2_NOTEMPTY, result.get(), code_->match.get());
  if (groups < 0) return {};
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(result.get());
  if (bounds[1] <= bounds[0]) return {};  // \K-like constructs can turn a match around
  return {text.data() + bounds[0], text.data() + bounds[1]};
}

}  // namespace quernel::text
