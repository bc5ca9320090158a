#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <optional>

#include "text/limits.h"
#include "text/utf8.h"

namespace quernel::text {
namespace {

// Enough for real patterns on pieces of megabytes; a hostile one stops within tens of milliseconds.
constexpr std::uint32_t kMatchLimit = 5'000'000;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;  // of the interpreter; it bounds the depth as well
constexpr std::uint32_t kNestLimit = 100;

struct Free {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};

template <class T>
using Owned = std::unique_ptr<T, Free>;

// \w and \s of Oniguruma as members of a class; PCRE2's own leave out marks and connectors, and take in U+180E.
constexpr std::string_view kWordMembers =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\xB2\xB3\xB9\xBC-\xBE\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169})"
    R"(\x{1F170}-\x{1F189})";
constexpr std::string_view kSpaceMembers =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// An escape that the two read differently, in PCRE2's terms; empty: not to be translated; one that both read alike as
// it is.
std::string translate_escape(char letter, bool in_class) {
  switch (letter) {
    case 'w': return in_class ? std::string(kWordMembers) : "[" + std::string(kWordMembers) + "]";
    case 's': return in_class ? std::string(kSpaceMembers) : "[" + std::string(kSpaceMembers) + "]";
    case 'W': return in_class ? "" : "[^" + std::string(kWordMembers) + "]";
    case 'S': return in_class ? R"(\S)" : "[^" + std::string(kSpaceMembers) + "]";
    default: break;
  }
  const bool foreign = std::string_view("hHRXKuQEGZbB").find(letter) != std::string_view::npos;
  return foreign ? "" : std::string{'\\', letter};
}

struct Translation {
  std::string pattern;
  std::optional<std::size_t> foreign;  // where syntax begins that has no translation
};

Translation translate(std::string_view pattern) {
  Translation out;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const std::string escape = translate_escape(pattern[++i], in_class);
      if (escape.empty()) {
        out.foreign = i - 1;
        return out;
      }
      out.pattern += escape;
      continue;
    }
    const bool nested = in_class && c == '[' && pattern.substr(i, 2) != "[:";
    if (nested || (in_class && pattern.substr(i, 2) == "&&")) {
      out.foreign = i;
      return out;
    }
    out.pattern += c;
    if (!in_class && c == '[') {
      in_class = true;
      if (pattern.substr(i, 2) == "[^") out.pattern += pattern[++i];
      if (pattern.substr(i + 1, 1) == "]") out.pattern += pattern[++i];  // a bracket in first place is a member
    } else if (in_class && pattern.substr(i, 2) == "[:") {
      const std::size_t close = std::min(pattern.find(":]", i), pattern.size() - 2);
      out.pattern += pattern.substr(i + 1, close + 1 - i);
      i = close + 1;
    } else if (c == ']') {
      in_class = false;
    }
  }
  return out;
}

Error refused(const std::string& pattern, std::size_t position, const std::string& why) {
  return Error(Fault::unsupported,
               fmt::format("cannot run the regular expression '{}': {} at byte {}", pattern, why, position))
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
  const Translation translated = translate(pattern);
  if (translated.foreign) return refused(pattern, *translated.foreign, "syntax with another meaning here");
  const Owned<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
  pcre2_set_parens_nest_limit(context.get(), kNestLimit);
  int error = 0;
  PCRE2_SIZE error_offset = 0;
  const auto* text = reinterpret_cast<PCRE2_SPTR>(translated.pattern.data());
  constexpr std::uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
  auto code = std::make_shared<Code>();
  code->code.reset(pcre2_compile(text, translated.pattern.size(), kOptions, &error, &error_offset, context.get()));
  if (!code->code) {
    std::array<PCRE2_UCHAR, 128> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    return refused(translated.pattern, error_offset, reinterpret_cast<const char*>(message.data()));
  }
  // Without JIT (memory forbidden to be executable) the interpreter gives the same matches.
  pcre2_jit_compile(code->code.get(), PCRE2_JIT_COMPLETE);
  code->match.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(code->match.get(), kMatchLimit);
  pcre2_set_heap_limit(code->match.get(), kHeapLimitKib);
  return Regex(std::move(code));
}

Match Regex::find(std::string_view text, const char* at) const {
  // One result a thread: making it costs as much as a short match.
  thread_local const Owned<pcre2_match_data> result(pcre2_match_data_create(1, nullptr));
  if (!result) return {};
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  const auto match = [&](std::uint32_t options) {
    return pcre2_match(code_->code.get(), subject, text.size(), static_cast<PCRE2_SIZE>(at - text.data()),
                       PCRE2_NOTEMPTY | options, result.get(), code_->match.get());
  };
  int groups = match(0);
  if (groups == PCRE2_ERROR_JIT_STACKLIMIT) groups = match(PCRE2_NO_JIT);  // the interpreter has more room
  if (groups < 0) return {};
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(result.get());
  if (bounds[1] <= bounds[0]) return {};  // \K-like constructs can turn a match around
  return {text.data() + bounds[0], text.data() + bounds[1]};
}

}  // namespace quernel::text
