#include "model/tokenizer_steps.h"

#include <string>
#include <vector>

#include "text/split_rules.h"

namespace quernel::model {

namespace {

// null, the one component, or a Sequence of them.
Json sequence(std::vector<Json> parts, const char* list) {
  if (parts.empty()) return nullptr;
  if (parts.size() == 1) return std::move(parts.front());
  Json all{{"type", "Sequence"}};
  all[list] = std::move(parts);
  return all;
}

Json text_pattern(const std::string& text) { return Json{{"String", text}}; }

Json byte_level(bool add_prefix_space, bool use_regex) {
  return Json{
      {"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

const char* behavior_name(text::SplitBehavior behavior) {
  switch (behavior) {
    case text::SplitBehavior::isolated: return "Isolated";
    case text::SplitBehavior::removed: return "Removed";
    case text::SplitBehavior::merged_with_previous: return "MergedWithPrevious";
    case text::SplitBehavior::merged_with_next: return "MergedWithNext";
    case text::SplitBehavior::contiguous: return "Contiguous";
  }
  return "";
}

const char* scheme_name(text::PrependScheme scheme) {
  switch (scheme) {
    case text::PrependScheme::always: return "always";
    case text::PrependScheme::first: return "first";
    case text::PrependScheme::never: return "never";
  }
  return "";
}

Json split(const text::PreStep& step) {
  const bool literal = step.kind == text::PreKind::split_text;
  return Json{{"type", "Split"},
              {"pattern", Json{{literal ? "String" : "Regex", step.pattern}}},
              {"behavior", behavior_name(step.behavior)},
              {"invert", step.invert}};
}

Json metaspace(const std::string& mark, text::PrependScheme prepend, bool splits) {
  return Json{
      {"type", "Metaspace"}, {"replacement", mark}, {"prepend_scheme", scheme_name(prepend)}, {"split", splits}};
}

// The ByteLevel component cuts with this rule by itself.
bool is_byte_level_rule(const text::PreStep& step) {
  const text::SplitRule* gpt2 = text::find_split_rule_by_name("gpt2");
  return gpt2 != nullptr && step.kind == text::PreKind::split_regex && step.pattern == gpt2->pattern &&
         step.behavior == text::SplitBehavior::isolated && !step.invert;
}

Result<Json> pre_step(const text::PreStep& step) {
  switch (step.kind) {
    case text::PreKind::split_regex:
    case text::PreKind::split_text: return split(step);
    case text::PreKind::digits: return Json{{"type", "Digits"}, {"individual_digits", step.individual}};
    case text::PreKind::metaspace: return metaspace(step.pattern, step.prepend, step.split);
    case text::PreKind::prefix_space: break;
  }
  return Error(Fault::unsupported, "a space before the text, away from the byte alphabet, has no component");
}

Json special_token(const std::string& content) { return Json{{"SpecialToken", {{"id", content}, {"type_id", 0}}}}; }

}  // namespace

Json normalizer_json(const text::Vocabulary& vocabulary) {
  std::vector<Json> parts;
  for (const text::NormalizeStep& step : vocabulary.normalize) {
    switch (step.kind) {
      case text::NormalizeKind::nfc: parts.push_back(Json{{"type", "NFC"}}); break;
      case text::NormalizeKind::prepend: parts.push_back(Json{{"type", "Prepend"}, {"prepend", step.content}}); break;
      case text::NormalizeKind::replace_text:
        parts.push_back(Json{{"type", "Replace"}, {"pattern", text_pattern(step.pattern)}, {"content", step.content}});
        break;
      case text::NormalizeKind::replace_regex:
        parts.push_back(
            Json{{"type", "Replace"}, {"pattern", Json{{"Regex", step.pattern}}}, {"content", step.content}});
        break;
    }
  }
  return sequence(std::move(parts), "normalizers");
}

Result<Json> pre_tokenizer_json(const text::Vocabulary& vocabulary) {
  std::vector<text::PreStep> steps = vocabulary.pre;
  const bool bytes = vocabulary.model == text::BpeModel::byte_level;
  bool use_regex = false;
  bool prefix_space = false;
  if (bytes && !steps.empty() && is_byte_level_rule(steps.back())) {
    use_regex = true;
    steps.pop_back();
  }
  if (bytes && !steps.empty() && steps.back().kind == text::PreKind::prefix_space) {
    prefix_space = true;
    steps.pop_back();
  }
  std::vector<Json> parts;
  for (const text::PreStep& step : steps) {
    QUERNEL_TRY(Json part, pre_step(step));
    parts.push_back(std::move(part));
  }
  if (bytes) parts.push_back(byte_level(prefix_space, use_regex));
  return sequence(std::move(parts), "pretokenizers");
}

Json decoder_json(const text::Vocabulary& vocabulary) {
  std::vector<Json> parts;
  for (const text::DecodeStep& step : vocabulary.decode) {
    switch (step.kind) {
      case text::DecodeKind::byte_level: parts.push_back(byte_level(true, true)); break;
      case text::DecodeKind::replace_text:
        parts.push_back(Json{{"type", "Replace"}, {"pattern", text_pattern(step.pattern)}, {"content", step.content}});
        break;
      case text::DecodeKind::byte_fallback: parts.push_back(Json{{"type", "ByteFallback"}}); break;
      case text::DecodeKind::fuse: parts.push_back(Json{{"type", "Fuse"}}); break;
      case text::DecodeKind::strip:
        parts.push_back(Json{{"type", "Strip"}, {"content", step.content}, {"start", step.count}, {"stop", 0}});
        break;
      case text::DecodeKind::metaspace: parts.push_back(metaspace(step.pattern, step.prepend, true)); break;
    }
  }
  return sequence(std::move(parts), "decoders");
}

Json post_processor_json(const text::Vocabulary& vocabulary) {
  std::vector<std::int32_t> before = vocabulary.prefix;
  std::vector<std::int32_t> after = vocabulary.suffix;
  if (before.empty() && vocabulary.add_bos && vocabulary.bos) before = {*vocabulary.bos};
  if (after.empty() && vocabulary.add_eos && vocabulary.eos) after = {*vocabulary.eos};
  if (before.empty() && after.empty()) return nullptr;
  Json specials = Json::object();
  const auto part = [&](std::int32_t id) {
    const std::string& content = vocabulary.tokens[static_cast<std::size_t>(id)];
    specials[content] = Json{{"id", content}, {"ids", {id}}, {"tokens", {content}}};
    return special_token(content);
  };
  Json single = Json::array();
  for (const std::int32_t id : before) single.push_back(part(id));
  single.push_back(Json{{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  for (const std::int32_t id : after) single.push_back(part(id));
  Json pair = single;
  for (const std::int32_t id : before) pair.push_back(part(id));
  pair.push_back(Json{{"Sequence", {{"id", "B"}, {"type_id", 0}}}});
  for (const std::int32_t id : after) pair.push_back(part(id));
  return Json{{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", specials}};
}

}  // namespace quernel::model
