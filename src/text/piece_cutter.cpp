#include "text/piece_cutter.h"

#include "text/limits.h"
#include "text/normalize.h"
#include "text/unicode_classes.h"

namespace quernel::text {
namespace {

struct Part {
  const char* begin = nullptr;
  const char* end = nullptr;
  bool is_match = false;
};

// The parts after matches were joined with their neighbours; two matches in a row are not joined with each other,
// except by `contiguous`.
std::vector<Part> join_parts(const std::vector<Part>& parts, SplitBehavior behavior) {
  std::vector<Part> joined;
  bool previous_match = false;
  if (behavior == SplitBehavior::merged_with_next) {
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (part->is_match && !previous_match && !joined.empty()) {
        joined.back().begin = part->begin;
      } else {
        joined.push_back(*part);
      }
      previous_match = part->is_match;
    }
    return {joined.rbegin(), joined.rend()};
  }
  for (const Part& part : parts) {
    const bool join =
        behavior == SplitBehavior::contiguous ? part.is_match == previous_match : part.is_match && !previous_match;
    if (join && !joined.empty()) {
      joined.back().end = part.end;
    } else {
      joined.push_back(part);
    }
    previous_match = part.is_match;
  }
  return joined;
}

}  // namespace

Result<PieceCutter> PieceCutter::create(const std::vector<PreStep>& steps) {
  if (steps.size() > kMaxSteps)
    return Error(Fault::limit_exceeded, "too many pre-tokenizers").in_field("pre_tokenizer");
  CharTable::get();  // made now, not in the first text
  PieceCutter out;
  for (const PreStep& spec : steps) {
    Step step{spec, nullptr, std::nullopt};
    if (spec.kind == PreKind::digits) {
      step.find = spec.individual ? find_digit : find_digits;
    } else if (spec.kind == PreKind::split_regex) {
      if (const SplitRule* rule = find_split_rule(spec.pattern); rule != nullptr) {
        step.find = rule->find;
      } else {
        QUERNEL_TRY(step.regex, Regex::compile(spec.pattern));
      }
    } else if (spec.kind != PreKind::prefix_space && spec.pattern.empty()) {
      return Error(Fault::corrupt, "a pre-tokenizer looks for nothing").in_field("pre_tokenizer");
    }
    out.steps_.push_back(std::move(step));
  }
  return out;
}

Match PieceCutter::Step::next(std::string_view piece, const char* at) const {
  const char* end = piece.data() + piece.size();
  if (find != nullptr) return find(at, end);
  if (regex) return regex->find(piece, at);
  const std::size_t hit = piece.find(spec.pattern, static_cast<std::size_t>(at - piece.data()));
  if (hit == std::string_view::npos) return {};
  return {piece.data() + hit, piece.data() + hit + spec.pattern.size()};
}

void PieceCutter::cut(std::string_view text, bool text_start, const PieceSink& sink) const {
  run(0, text, text_start, sink);
}

void PieceCutter::pass(std::size_t step, std::string_view piece, const char* begin, const char* end, bool text_start,
                       const PieceSink& sink) const {
  if (begin == end) return;
  run(step + 1, {begin, static_cast<std::size_t>(end - begin)}, text_start && begin == piece.data(), sink);
}

void PieceCutter::run(std::size_t step, std::string_view piece, bool text_start, const PieceSink& sink) const {
  if (piece.empty()) return;
  if (step == steps_.size()) return sink.put(sink.self, piece);
  const PreStep& spec = steps_[step].spec;
  if (spec.kind == PreKind::prefix_space) {
    if (piece.front() == ' ') return run(step + 1, piece, text_start, sink);
    std::string prefixed(1, ' ');
    return run(step + 1, prefixed.append(piece), text_start, sink);
  }
  if (spec.kind == PreKind::metaspace) return metaspace(step, piece, text_start, sink);
  const bool by_behavior = spec.behavior == SplitBehavior::isolated || spec.behavior == SplitBehavior::removed;
  return by_behavior ? split(step, piece, text_start, sink) : split_merging(step, piece, text_start, sink);
}

void PieceCutter::split(std::size_t step, std::string_view piece, bool text_start, const PieceSink& sink) const {
  const PreStep& spec = steps_[step].spec;
  const bool keep_all = spec.behavior == SplitBehavior::isolated;
  const bool keep_matches = keep_all || spec.invert;
  const bool keep_gaps = keep_all || !spec.invert;
  const char* at = piece.data();
  const char* end = at + piece.size();
  while (at < end) {
    const Match match = steps_[step].next(piece, at);
    if (!match.found()) break;
    if (keep_gaps) pass(step, piece, at, match.begin, text_start, sink);
    if (keep_matches) pass(step, piece, match.begin, match.end, text_start, sink);
    at = match.end;
  }
  if (keep_gaps) pass(step, piece, at, end, text_start, sink);
}

void PieceCutter::split_merging(std::size_t step, std::string_view piece, bool text_start,
                                const PieceSink& sink) const {
  const PreStep& spec = steps_[step].spec;
  std::vector<Part> parts;
  const char* at = piece.data();
  const char* end = at + piece.size();
  while (at < end) {
    const Match match = steps_[step].next(piece, at);
    if (!match.found()) break;
    if (match.begin != at) parts.push_back({at, match.begin, spec.invert});
    parts.push_back({match.begin, match.end, !spec.invert});
    at = match.end;
  }
  if (at != end) parts.push_back({at, end, spec.invert});
  for (const Part& part : join_parts(parts, spec.behavior)) pass(step, piece, part.begin, part.end, text_start, sink);
}

void PieceCutter::metaspace(std::size_t step, std::string_view piece, bool text_start, const PieceSink& sink) const {
  const PreStep& spec = steps_[step].spec;
  std::string changed = replace_all(piece, " ", spec.pattern);
  const bool wanted = spec.prepend == PrependScheme::always || (spec.prepend == PrependScheme::first && text_start);
  if (wanted && !changed.starts_with(spec.pattern)) changed.insert(0, spec.pattern);
  if (!spec.split) return run(step + 1, changed, text_start, sink);
  const std::string_view text = changed;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t next = text.find(spec.pattern, at + 1);
    const std::size_t stop = next == std::string_view::npos ? text.size() : next;
    pass(step, text, text.data() + at, text.data() + stop, text_start, sink);
    at = stop;
  }
}

}  // namespace quernel::text
