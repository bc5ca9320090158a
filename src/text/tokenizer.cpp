#include "text/tokenizer.h"

#include <mutex>
#include <utility>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/decoder.h"
#include "text/normalize.h"
#include "text/piece_cutter.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"
#include "text/vocabulary_checks.h"

namespace quernel::text {
namespace {

// Workspaces that no call is using: as many exist as calls have ever run at once.
class WorkspacePool {
 public:
  std::unique_ptr<Bpe::Workspace> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Bpe::Workspace>();
    std::unique_ptr<Bpe::Workspace> last = std::move(free_.back());
    free_.pop_back();
    return last;
  }
  void give_back(std::unique_ptr<Bpe::Workspace> workspace) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(workspace));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Bpe::Workspace>> free_;
};

AddedTokenFinder make_finder(const Vocabulary& vocabulary, bool normalized, const Normalizer& normalizer) {
  std::vector<AddedToken> tokens;
  std::vector<std::string> contents;
  for (const AddedToken& token : vocabulary.added) {
    if (token.normalized != normalized) continue;
    std::string storage;
    contents.emplace_back(normalized ? normalizer.normalize(token.content, storage) : token.content);
    tokens.push_back(token);
  }
  return {std::move(tokens), contents};
}

}  // namespace

struct Tokenizer::State {
  std::unique_ptr<const Vocabulary> vocabulary;  // bpe and decoder refer to it
  Normalizer normalizer;
  AddedTokenFinder raw_tokens;
  AddedTokenFinder normalized_tokens;
  PieceCutter cutter;
  Bpe bpe;
  Decoder decoder;
  mutable WorkspacePool workspaces;
};

namespace {

// One call of encode: where ids go, and what they are made with.
struct Encoding {
  const Bpe& bpe;
  Bpe::Workspace& work;
  std::vector<std::int32_t>& out;

  static void put(void* self, std::string_view piece) {
    const auto* encoding = static_cast<Encoding*>(self);
    encoding->bpe.encode(piece, encoding->work, encoding->out);
  }
};

void add_ids(bool wanted, const std::vector<std::int32_t>& template_ids, const std::optional<std::int32_t>& id,
             std::vector<std::int32_t>& out) {
  if (!template_ids.empty()) {
    out.insert(out.end(), template_ids.begin(), template_ids.end());
  } else if (wanted && id) {
    out.push_back(*id);
  }
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Result<Tokenizer> Tokenizer::create(Vocabulary vocabulary) {
  QUERNEL_TRY_STATUS(check_vocabulary(vocabulary));
  QUERNEL_TRY(Normalizer normalizer, Normalizer::create(vocabulary.normalize));
  QUERNEL_TRY(PieceCutter cutter, PieceCutter::create(vocabulary.pre));
  AddedTokenFinder raw = make_finder(vocabulary, false, normalizer);
  AddedTokenFinder normalized = make_finder(vocabulary, true, normalizer);
  // What refers to the vocabulary is made after it has reached its place.
  auto home = std::make_unique<Vocabulary>(std::move(vocabulary));
  QUERNEL_TRY(Bpe bpe, Bpe::create(*home));
  QUERNEL_TRY(Decoder decoder, Decoder::create(*home));
  return Tokenizer(std::unique_ptr<State>(new State{std::move(home),
                                                    std::move(normalizer),
                                                    std::move(raw),
                                                    std::move(normalized),
                                                    std::move(cutter),
                                                    std::move(bpe),
                                                    std::move(decoder),
                                                    {}}));
}

Result<Tokenizer> Tokenizer::from_json(std::string_view tokenizer_json, const std::string& file) {
  QUERNEL_TRY(Vocabulary vocabulary, parse_tokenizer_json(tokenizer_json, file));
  auto made = create(std::move(vocabulary));
  if (!made.ok()) return std::move(made).error().in_file(file);
  return made;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  const State& state = *state_;
  const Vocabulary& vocabulary = *state.vocabulary;
  std::vector<std::int32_t> out;
  out.reserve(text.size() / 4 + 8);
  if (options.add_special) add_ids(vocabulary.add_bos, vocabulary.prefix, vocabulary.bos, out);

  std::unique_ptr<Bpe::Workspace> work = state.workspaces.take();
  Encoding encoding{state.bpe, *work, out};
  const PieceSink sink{Encoding::put, &encoding};
  const auto put_token = [&out](std::int32_t id) { out.push_back(id); };
  std::string storage;
  const auto put_raw = [&](std::string_view raw) {
    const std::string_view normalized = state.normalizer.normalize(raw, storage);
    const auto put_normalized = [&](std::string_view piece) {
      state.cutter.cut(piece, raw.data() == text.data() && piece.data() == normalized.data(), sink);
    };
    state.normalized_tokens.split(normalized, options.parse_special, put_normalized, put_token);
  };
  state.raw_tokens.split(text, options.parse_special, put_raw, put_token);
  state.workspaces.give_back(std::move(work));

  if (options.add_special) add_ids(vocabulary.add_eos, vocabulary.suffix, vocabulary.eos, out);
  return out;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  const Decoder& decoder = state_->decoder;
  std::string out;
  bool first = true;
  for (const std::int32_t id : ids) {
    if (decoder.append(id, first, skip_special, out)) first = false;
  }
  const std::string& content = decoder.strip_text();
  std::size_t size = 0;
  for (int i = 0; i < decoder.strip_count() && out.compare(size, content.size(), content) == 0; ++i) {
    size += content.size();
  }
  out.erase(0, size);
  return out;
}

std::string Tokenizer::token_bytes(std::int32_t id) const { return std::string(state_->decoder.bytes(id)); }

const Vocabulary& Tokenizer::vocabulary() const { return *state_->vocabulary; }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(&tokenizer), skip_special_(skip_special), strip_left_(tokenizer.state_->decoder.strip_count()) {}

// Takes the text to strip away from the start; waits where not enough has come to tell.
void StreamDecoder::strip_start() {
  const std::string& content = tokenizer_->state_->decoder.strip_text();
  while (strip_left_ > 0 && pending_.starts_with(content)) {
    pending_.erase(0, content.size());
    --strip_left_;
  }
  if (!content.starts_with(pending_)) strip_left_ = 0;
}

std::string StreamDecoder::push(std::int32_t id) {
  if (!tokenizer_->state_->decoder.append(id, first_, skip_special_, pending_)) return {};
  first_ = false;
  if (strip_left_ > 0) strip_start();
  const std::size_t ready = strip_left_ > 0 ? 0 : pending_.size() - incomplete_tail(pending_);
  std::string out = repair_utf8(std::string_view(pending_).substr(0, ready));
  pending_.erase(0, ready);
  return out;
}

std::string StreamDecoder::finish() {
  std::string out = repair_utf8(pending_);
  pending_.clear();
  return out;
}

}  // namespace quernel::text
