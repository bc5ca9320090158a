#include "text/normalize.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "text/limits.h"
#include "text/unicode_classes.h"

namespace quernel::text {
namespace {

struct Freed {
  void operator()(utf8proc_uint8_t* text) const { std::free(text); }  // utf8proc_map gives memory of malloc
};

void append_composed(std::string& out, std::string_view valid) {
  utf8proc_uint8_t* composed = nullptr;
  const auto size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(valid.data()), static_cast<utf8proc_ssize_t>(valid.size()),
                   &composed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, Freed> owner(composed);
  if (size < 0) {  // out of memory: the text as it is, since encode has no errors
    out += valid;
  } else {
    out.append(reinterpret_cast<const char*>(composed), static_cast<std::size_t>(size));
  }
}

// Where NFC might change something first; the end if nowhere.
const char* first_unstable(const char* at, const char* end) {
  const CharTable& table = CharTable::get();
  while (at < end) {
    const Decoded here = decode_utf8(at, end);
    if (here.valid() && (table.kinds(here.code) & kNfcStable) == 0) break;
    at += here.length;
  }
  return at;
}

std::string compose(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    const char* valid = at;
    Decoded here;
    while (at < end && (here = decode_utf8(at, end)).valid()) at += here.length;
    if (at != valid) append_composed(out, {valid, static_cast<std::size_t>(at - valid)});
    while (at < end && !decode_utf8(at, end).valid()) out.push_back(*at++);
  }
  return out;
}

std::string replace_matches(std::string_view text, const Regex& regex, std::string_view content) {
  std::string out;
  const char* at = text.data();
  const char* end = at + text.size();
  for (Match match = regex.find(text, at); match.found(); match = regex.find(text, at)) {
    out.append(at, match.begin);
    out += content;
    at = match.end;
  }
  return out.append(at, end);
}

}  // namespace

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  std::size_t at = 0;
  for (std::size_t hit = text.find(pattern); hit != std::string_view::npos; hit = text.find(pattern, at)) {
    out += text.substr(at, hit - at);
    out += content;
    at = hit + pattern.size();
  }
  out += text.substr(at);
  return out;
}

Result<Normalizer> Normalizer::create(const std::vector<NormalizeStep>& steps) {
  if (steps.size() > kMaxSteps) return Error(Fault::limit_exceeded, "too many normalizers").in_field("normalizer");
  Normalizer out;
  for (const NormalizeStep& step : steps) {
    Step made{step.kind, step.pattern, step.content, {}};
    if (step.kind == NormalizeKind::replace_regex) {
      QUERNEL_TRY(Regex regex, Regex::compile(step.pattern));
      made.regex.push_back(std::move(regex));
    }
    if (step.kind == NormalizeKind::replace_text && step.pattern.empty()) {
      return Error(Fault::corrupt, "a Replace normalizer looks for nothing").in_field("normalizer");
    }
    out.steps_.push_back(std::move(made));
  }
  return out;
}

std::string_view Normalizer::normalize(std::string_view text, std::string& storage) const {
  std::string_view current = text;
  const auto keep = [&](std::string changed) {
    storage = std::move(changed);
    current = storage;
  };
  for (const Step& step : steps_) {
    switch (step.kind) {
      case NormalizeKind::nfc: {
        const char* end = current.data() + current.size();
        if (first_unstable(current.data(), end) != end) keep(compose(current));
        break;
      }
      case NormalizeKind::prepend:
        if (!current.empty()) keep(step.content + std::string(current));
        break;
      case NormalizeKind::replace_text:
        if (current.find(step.pattern) != std::string_view::npos) {
          keep(replace_all(current, step.pattern, step.content));
        }
        break;
      case NormalizeKind::replace_regex: keep(replace_matches(current, step.regex.front(), step.content)); break;
    }
  }
  return current;
}

}  // namespace quernel::text
