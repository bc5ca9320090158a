#include "text/json_steps.h"

#include <fmt/format.h>

#include "base/checked.h"
#include "text/limits.h"
#include "text/split_rules.h"
#include "text/utf8.h"

namespace quernel::text {
namespace {

Error unknown(const char* what, const std::string& type, const char* known) {
  return Error(Fault::unsupported, fmt::format("{} '{}' is not supported", what, repair_utf8(type).substr(0, 80)))
      .in_field(what)
      .expect(known, repair_utf8(type).substr(0, 80));
}

Result<std::string> type_of(const Json& component) {
  if (!component.is_object()) return Error(Fault::corrupt, "a component is not an object").in_field("type");
  return json_string(component, "type");
}

// The members of a Sequence under either of its names.
Result<const Json*> members(const Json& component, const char* key) {
  const auto found = component.find(key);
  if (found == component.end() || !found->is_array()) {
    return Error(Fault::corrupt, "a Sequence has no list of members").in_field(key);
  }
  return &*found;
}

struct Pattern {
  bool regex = false;
  std::string text;
};

// {"String": ".."} or {"Regex": ".."}
Result<Pattern> read_pattern(const Json& component) {
  const auto found = component.find("pattern");
  if (found == component.end() || !found->is_object()) {
    return Error(Fault::corrupt, "a pattern is not an object").in_field("pattern");
  }
  Pattern out;
  out.regex = found->contains("Regex");
  QUERNEL_TRY(out.text, json_string(*found, out.regex ? "Regex" : "String"));
  if (out.text.size() > kMaxPatternBytes) {
    return Error(Fault::limit_exceeded, "a pattern is too long")
        .in_field("pattern")
        .expect(fmt::format("at most {} bytes", kMaxPatternBytes), std::to_string(out.text.size()));
  }
  return out;
}

Result<SplitBehavior> read_behavior(const Json& component) {
  QUERNEL_TRY(const std::string name, json_string(component, "behavior"));
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  return unknown("behavior", name, "Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous");
}

bool is_one_character(std::string_view text) {
  return !text.empty() && decode_utf8(text.data(), text.data() + text.size()).length == text.size();
}

// The one character that stands for a space.
Result<std::string> read_replacement(const Json& component) {
  Result<std::string> text = json_string(component, "replacement");
  if (text.ok() && !is_one_character(text.value()))
    return Error(Fault::corrupt, "a replacement is not one character").in_field("replacement");
  return text;
}

Result<PrependScheme> read_prepend_scheme(const Json& component) {
  QUERNEL_TRY(const bool add, json_bool_or(component, "add_prefix_space", true));
  if (!add) return PrependScheme::never;
  QUERNEL_TRY(const std::string name, json_string_or(component, "prepend_scheme", "always"));
  if (name == "always") return PrependScheme::always;
  if (name == "first") return PrependScheme::first;
  if (name == "never") return PrependScheme::never;
  return unknown("prepend_scheme", name, "always, first or never");
}

template <class Steps, class Step>
Status add_step(Steps& steps, Step step, const char* what) {
  if (steps.size() >= kMaxSteps) {
    return Error(Fault::limit_exceeded, fmt::format("more than {} steps", kMaxSteps)).in_field(what);
  }
  steps.push_back(std::move(step));
  return ok_status();
}

PreStep regex_step(std::string pattern) {
  PreStep step;
  step.kind = PreKind::split_regex;
  step.pattern = std::move(pattern);
  return step;
}

Status read_byte_level(const Json& component, Vocabulary& out) {
  QUERNEL_TRY(const bool prefix, json_bool(component, "add_prefix_space"));
  QUERNEL_TRY(const bool use_regex, json_bool_or(component, "use_regex", true));
  out.model = BpeModel::byte_level;
  if (prefix) {
    PreStep step;
    step.kind = PreKind::prefix_space;
    QUERNEL_TRY_STATUS(add_step(out.pre, step, "pre_tokenizer"));
  }
  if (!use_regex) return ok_status();
  return add_step(out.pre, regex_step(std::string(find_split_rule_by_name("gpt2")->pattern)), "pre_tokenizer");
}

Status read_split(const Json& component, Vocabulary& out) {
  QUERNEL_TRY(Pattern pattern, read_pattern(component));
  PreStep step = regex_step(std::move(pattern.text));
  if (!pattern.regex) step.kind = PreKind::split_text;
  QUERNEL_TRY(step.behavior, read_behavior(component));
  QUERNEL_TRY(step.invert, json_bool_or(component, "invert", false));
  return add_step(out.pre, std::move(step), "pre_tokenizer");
}

Status read_metaspace(const Json& component, Vocabulary& out) {
  PreStep step;
  step.kind = PreKind::metaspace;
  QUERNEL_TRY(step.pattern, read_replacement(component));
  QUERNEL_TRY(step.prepend, read_prepend_scheme(component));
  QUERNEL_TRY(step.split, json_bool_or(component, "split", true));
  return add_step(out.pre, std::move(step), "pre_tokenizer");
}

Status read_one_normalizer(const Json& component, const std::string& type, Vocabulary& out) {
  NormalizeStep step;
  if (type == "NFC") {
    step.kind = NormalizeKind::nfc;
  } else if (type == "Prepend") {
    step.kind = NormalizeKind::prepend;
    QUERNEL_TRY(step.content, json_string(component, "prepend"));
  } else if (type == "Replace") {
    QUERNEL_TRY(Pattern pattern, read_pattern(component));
    step.kind = pattern.regex ? NormalizeKind::replace_regex : NormalizeKind::replace_text;
    step.pattern = std::move(pattern.text);
    QUERNEL_TRY(step.content, json_string(component, "content"));
  } else {
    return unknown("normalizer", type, "NFC, Prepend, Replace or Sequence");
  }
  return add_step(out.normalize, std::move(step), "normalizer");
}

Status read_one_decoder(const Json& component, const std::string& type, Vocabulary& out) {
  DecodeStep step;
  if (type == "ByteLevel") {
    step.kind = DecodeKind::byte_level;
  } else if (type == "ByteFallback") {
    step.kind = DecodeKind::byte_fallback;
  } else if (type == "Fuse") {
    step.kind = DecodeKind::fuse;
  } else if (type == "Metaspace") {
    step.kind = DecodeKind::metaspace;
    QUERNEL_TRY(step.pattern, read_replacement(component));
    QUERNEL_TRY(step.prepend, read_prepend_scheme(component));
  } else if (type == "Replace") {
    QUERNEL_TRY(Pattern pattern, read_pattern(component));
    if (pattern.regex) return unknown("decoder", "Replace of a Regex", "Replace of a String");
    step.kind = DecodeKind::replace_text;
    step.pattern = std::move(pattern.text);
    QUERNEL_TRY(step.content, json_string(component, "content"));
  } else if (type == "Strip") {
    step.kind = DecodeKind::strip;
    QUERNEL_TRY(step.content, json_string(component, "content"));
    QUERNEL_TRY(const std::int64_t start, json_int_or(component, "start", 0));
    QUERNEL_TRY(const std::int64_t stop, json_int_or(component, "stop", 0));
    if (stop != 0) return unknown("decoder", "Strip at the end", "Strip at the start");
    if (start < 0 || start > 1024) return Error(Fault::corrupt, "a Strip counts out of range").in_field("start");
    step.count = static_cast<int>(start);
  } else {
    return unknown("decoder", type, "ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip or Sequence");
  }
  return add_step(out.decode, std::move(step), "decoder");
}

// Ids of one special token of a template, by its name in `special_tokens`.
Status append_template_ids(const Json& component, const std::string& name, std::vector<std::int32_t>& ids) {
  const auto tokens = component.find("special_tokens");
  if (tokens == component.end() || !tokens->is_object() || !tokens->contains(name) || !(*tokens)[name].is_object()) {
    return Error(Fault::corrupt,
                 fmt::format("a template names the token '{}' and does not define it", repair_utf8(name)))
        .in_field("post_processor.special_tokens");
  }
  const Json& token = (*tokens)[name];
  if (!token.contains("ids") || !token["ids"].is_array()) {
    return Error(Fault::corrupt, "a template token has no ids").in_field("post_processor.special_tokens");
  }
  for (const Json& id : token["ids"]) {
    const auto value = id.is_number_integer() ? checked_cast<std::int32_t>(id.get<std::int64_t>()) : std::nullopt;
    if (!value || *value < 0 || ids.size() >= kMaxSteps) {
      return Error(Fault::corrupt, "a template token has an id out of range").in_field("post_processor.special_tokens");
    }
    ids.push_back(*value);
  }
  return ok_status();
}

Status read_template(const Json& component, Vocabulary& out) {
  const auto single = component.find("single");
  if (single == component.end() || !single->is_array()) {
    return Error(Fault::unsupported, "a template that is not a list of pieces").in_field("post_processor.single");
  }
  bool text_seen = false;
  for (const Json& piece : *single) {
    if (piece.is_object() && piece.contains("Sequence") && !text_seen) {
      text_seen = true;
    } else if (piece.is_object() && piece.contains("SpecialToken") && piece["SpecialToken"].is_object()) {
      QUERNEL_TRY(const std::string name, json_string(piece["SpecialToken"], "id"));
      QUERNEL_TRY_STATUS(append_template_ids(component, name, text_seen ? out.suffix : out.prefix));
    } else {
      return Error(Fault::unsupported, "a template piece is neither the text nor a special token")
          .in_field("post_processor.single");
    }
  }
  // One token at either end has a name of its own.
  if (out.prefix.size() == 1) {
    out.bos = out.prefix.front();
    out.add_bos = true;
    out.prefix.clear();
  }
  if (out.suffix.size() == 1) {
    out.eos = out.suffix.front();
    out.add_eos = true;
    out.suffix.clear();
  }
  return ok_status();
}

}  // namespace

Status read_normalizer(const Json& component, Vocabulary& out) {
  if (component.is_null()) return ok_status();
  QUERNEL_TRY(const std::string type, type_of(component));
  if (type != "Sequence") return read_one_normalizer(component, type, out);
  QUERNEL_TRY(const Json* parts, members(component, "normalizers"));
  for (const Json& part : *parts) QUERNEL_TRY_STATUS(read_normalizer(part, out));
  return ok_status();
}

Status read_pre_tokenizer(const Json& component, Vocabulary& out) {
  if (component.is_null()) return ok_status();
  QUERNEL_TRY(const std::string type, type_of(component));
  if (out.model == BpeModel::byte_level) {
    return Error(Fault::unsupported, "a pre-tokenizer after ByteLevel")
        .in_field("pre_tokenizer")
        .expect("ByteLevel last", type);
  }
  if (type == "ByteLevel") return read_byte_level(component, out);
  if (type == "Split") return read_split(component, out);
  if (type == "Metaspace") return read_metaspace(component, out);
  if (type == "Digits") {
    PreStep step;
    step.kind = PreKind::digits;
    QUERNEL_TRY(step.individual, json_bool_or(component, "individual_digits", false));
    if (!step.individual) step.behavior = SplitBehavior::contiguous;
    return add_step(out.pre, step, "pre_tokenizer");
  }
  if (type != "Sequence") return unknown("pre_tokenizer", type, "ByteLevel, Split, Digits, Metaspace or Sequence");
  QUERNEL_TRY(const Json* parts, members(component, "pretokenizers"));
  for (const Json& part : *parts) QUERNEL_TRY_STATUS(read_pre_tokenizer(part, out));
  return ok_status();
}

Status read_decoder(const Json& component, Vocabulary& out) {
  if (component.is_null()) return ok_status();
  QUERNEL_TRY(const std::string type, type_of(component));
  if (type != "Sequence") return read_one_decoder(component, type, out);
  QUERNEL_TRY(const Json* parts, members(component, "decoders"));
  for (const Json& part : *parts) QUERNEL_TRY_STATUS(read_decoder(part, out));
  return ok_status();
}

Status read_post_processor(const Json& component, Vocabulary& out) {
  if (component.is_null()) return ok_status();
  QUERNEL_TRY(const std::string type, type_of(component));
  if (type == "ByteLevel") return ok_status();  // moves offsets, not ids
  if (type == "TemplateProcessing") return read_template(component, out);
  if (type != "Sequence") return unknown("post_processor", type, "TemplateProcessing, ByteLevel or Sequence");
  QUERNEL_TRY(const Json* parts, members(component, "processors"));
  for (const Json& part : *parts) QUERNEL_TRY_STATUS(read_post_processor(part, out));
  return ok_status();
}

}  // namespace quernel::text
