// Any bytes through one tokenizer of each family: byte-level ones give them back, pieces of every rule join to the
// text.
#include <string>
#include <vector>

#include "fuzz.h"
#include "text/byte_alphabet.h"
#include "text/split_rules.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

using namespace quernel::text;
using quernel::fuzz::expect;

std::vector<Tokenizer> make_tokenizers() {
  std::vector<Tokenizer> out;
  for (const SplitRule& rule : split_rules()) {
    Vocabulary vocabulary;
    for (int byte = 0; byte < 256; ++byte)
      vocabulary.tokens.push_back(to_alphabet(std::string(1, static_cast<char>(byte))));
    for (const auto& [left, right] :
         {std::pair{"a", "b"}, {"b", "a"}, {"ab", "ab"}, {"\u0120", "a"}, {"\u010A", "\u010A"}}) {
      vocabulary.merges.emplace_back(left, right);
      vocabulary.tokens.push_back(std::string(left) + right);
    }
    vocabulary.decode = {{}};
    PreStep step;
    step.pattern = std::string(rule.pattern);
    vocabulary.pre = {step};
    auto made = Tokenizer::create(std::move(vocabulary));
    expect(made.ok(), "a family's tokenizer can be made");
    out.push_back(std::move(made).value());
  }
  return out;
}

Tokenizer make_piece_tokenizer() {
  Vocabulary vocabulary;
  vocabulary.model = BpeModel::byte_fallback;
  vocabulary.byte_tokens = true;
  for (int byte = 0; byte < 256; ++byte) vocabulary.tokens.push_back(byte_token(static_cast<std::uint8_t>(byte)));
  for (const char* token : {"a", "b", "\u2581", "ab", "\u2581a", "\u00E9"}) vocabulary.tokens.emplace_back(token);
  vocabulary.scores.assign(vocabulary.tokens.size(), -1.0F);
  vocabulary.decode = {{DecodeKind::byte_fallback, "", "", 0, {}}, {DecodeKind::fuse, "", "", 0, {}}};
  vocabulary.normalize = {{NormalizeKind::nfc, "", ""}};
  auto made = Tokenizer::create(std::move(vocabulary));
  expect(made.ok(), "a piece tokenizer can be made");
  return std::move(made).value();
}

void check_pieces(const SplitRule& rule, std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    const Match match = rule.find(at, end);
    if (!match.found()) break;
    expect(match.begin >= at && match.end > match.begin && match.end <= end, "matches go forward inside the text");
    at = match.end;
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Tokenizer> byte_level = make_tokenizers();
  static const Tokenizer pieces = make_piece_tokenizer();
  const std::string text(quernel::fuzz::as_text(data, size));
  for (const SplitRule& rule : split_rules()) check_pieces(rule, text);
  for (const Tokenizer& tokenizer : byte_level) {
    expect(tokenizer.decode(tokenizer.encode(text)) == text, "byte-level tokenizers keep every byte");
  }
  const auto ids = pieces.encode(text);
  StreamDecoder decoder(pieces);
  std::string shown;
  for (const std::int32_t id : ids) shown += decoder.push(id);
  shown += decoder.finish();
  expect(shown == repair_utf8(pieces.decode(ids)), "streamed text is the decoded text");
  return 0;
}
