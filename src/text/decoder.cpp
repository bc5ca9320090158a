#include "text/decoder.h"

#include "base/checked.h"
#include "text/byte_alphabet.h"
#include "text/normalize.h"

namespace quernel::text {
namespace {

void strip_left(std::string& text, std::string_view content, int count) {
  std::size_t size = 0;
  while (count-- > 0 && !content.empty() && text.compare(size, content.size(), content) == 0) size += content.size();
  text.erase(0, size);
}

void apply(const DecodeStep& step, bool first, std::string& token) {
  switch (step.kind) {
    case DecodeKind::byte_level:
      if (auto bytes = from_alphabet(token); bytes) token = std::move(*bytes);
      break;
    case DecodeKind::replace_text: token = replace_all(token, step.pattern, step.content); break;
    case DecodeKind::byte_fallback:
      if (const auto byte = byte_token_value(token); byte) token.assign(1, static_cast<char>(*byte));
      break;
    case DecodeKind::metaspace: {
      const bool drop = first && step.prepend != PrependScheme::never;
      token = replace_all(token, step.pattern, drop ? "" : " ");
      break;
    }
    case DecodeKind::strip: strip_left(token, step.content, step.count); break;
    case DecodeKind::fuse: break;
  }
}

}  // namespace

Result<Decoder> Decoder::create(const Vocabulary& vocabulary) {
  Decoder out(vocabulary);
  bool joined = false;
  for (const DecodeStep& step : vocabulary.decode) {
    const bool looks = step.kind == DecodeKind::replace_text || step.kind == DecodeKind::metaspace;
    if (looks && step.pattern.empty()) {
      return Error(Fault::corrupt, "a decoder looks for nothing").in_field("decoder");
    }
    if (joined && step.kind == DecodeKind::strip && out.strip_count_ == 0) {
      out.strip_text_ = step.content;
      out.strip_count_ = step.content.empty() ? 0 : step.count;
    } else if (joined && step.kind != DecodeKind::fuse) {
      return Error(Fault::unsupported, "a decoder after tokens were joined can only be one Strip").in_field("decoder");
    } else if (!joined && step.kind != DecodeKind::fuse) {
      out.token_steps_.push_back(step);
    }
    joined = joined || step.kind == DecodeKind::fuse || step.kind == DecodeKind::byte_level;
    out.first_differs_ = out.first_differs_ || step.kind == DecodeKind::metaspace;
  }
  const std::size_t count = vocabulary.tokens.size();
  out.special_.resize(count);
  out.as_text_.resize(count);
  for (const AddedToken& token : vocabulary.added) {
    out.special_[static_cast<std::size_t>(token.id)] = token.special;
    out.as_text_[static_cast<std::size_t>(token.id)] = vocabulary.added_as_text;
  }
  out.offsets_.reserve(count + 1);
  for (std::size_t id = 0; id <= count; ++id) {
    const auto offset = checked_cast<std::uint32_t>(out.arena_.size());
    if (!offset) return Error(Fault::limit_exceeded, "the tokens hold more than 4 GiB");
    out.offsets_.push_back(*offset);
    if (id < count) out.arena_ += out.render(id, false);
  }
  return out;
}

std::string Decoder::render(std::size_t id, bool first) const {
  std::string token = vocabulary_->tokens[id];
  if (as_text_[id]) return token;
  for (const DecodeStep& step : token_steps_) apply(step, first, token);
  return token;
}

std::string_view Decoder::bytes(std::int32_t id) const {
  if (!known(id)) return {};
  const auto at = static_cast<std::size_t>(id);
  return std::string_view(arena_).substr(offsets_[at], offsets_[at + 1] - offsets_[at]);
}

bool Decoder::is_special(std::int32_t id) const { return known(id) && special_[static_cast<std::size_t>(id)]; }

bool Decoder::append(std::int32_t id, bool first, bool skip_special, std::string& out) const {
  if (!known(id) || (skip_special && is_special(id))) return false;
  const auto at = static_cast<std::size_t>(id);
  if (vocabulary_->tokens[at].empty()) return false;
  if (vocabulary_->decode.empty() && !first) out += ' ';
  if (first && first_differs_) {
    out += render(at, true);
  } else {
    out += bytes(id);
  }
  return true;
}

}  // namespace quernel::text
