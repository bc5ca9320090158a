// tokenizer.json: never crashes; what it accepts encodes and decodes any text.
#include <string>

#include "fuzz.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

using quernel::fuzz::expect;
using quernel::text::StreamDecoder;
using quernel::text::Tokenizer;

namespace {

void use(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text, {.add_special = true});
  const auto count = static_cast<std::int64_t>(tokenizer.vocabulary().tokens.size());
  StreamDecoder decoder(tokenizer, false);
  std::string shown;
  for (const std::int32_t id : ids) {
    expect(id >= 0 && id < count, "ids are of the vocabulary");
    shown += decoder.push(id);
  }
  shown += decoder.finish();
  expect(shown == quernel::text::repair_utf8(tokenizer.decode(ids, false)), "streamed text is the decoded text");
  expect(tokenizer.encode(text, {.add_special = true}) == ids, "the cache changes nothing");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = quernel::fuzz::as_text(data, size);
  const auto tokenizer = Tokenizer::from_json(text, "t.json");
  if (!tokenizer.ok()) {
    const auto& error = tokenizer.error();
    expect(error.file == "t.json", "an error names the file");
    expect(!error.offset || *error.offset <= size, "an offset is inside the text");
    return 0;
  }
  use(*tokenizer, "It's ab ba <s>  12\u0663\n\n e\u0301\u4E2D\uD55C\xFF\xC3 aaaaaaaaaaaaaaaaaaaa");
  use(*tokenizer, text.substr(0, 2000));
  return 0;
}
