#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/rng.h"
#include "text/small_vocabulary.h"

namespace quernel::text {
namespace {

using Ids = std::vector<std::int32_t>;

Tokenizer make(Vocabulary vocabulary) {
  auto made = Tokenizer::create(std::move(vocabulary));
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : to_string(made.error()));
  return std::move(made).value();
}

std::string random_bytes(CounterRng& rng, std::size_t size) {
  std::string out(size, '\0');
  for (char& byte : out) byte = static_cast<char>(rng.below(256));
  return out;
}

std::string stream(const Tokenizer& tokenizer, const Ids& ids, bool skip_special = true) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string out;
  for (const std::int32_t id : ids) {
    const std::string shown = decoder.push(id);
    EXPECT_EQ(repair_utf8(shown), shown) << "half a sequence was shown";
    out += shown;
  }
  return out + decoder.finish();
}

TEST(Tokenizer, MergesTheLowestRankFirst) {
  const Tokenizer tokenizer = make(test::byte_vocabulary({{"a", "b"}, {"b", "c"}, {"ab", "c"}, {"\u0120", "ab"}}));
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{258}));         // a+b before b+c, then ab+c
  EXPECT_EQ(tokenizer.encode("bc ab"), (Ids{257, 259}));  // the space belongs to the second word
  EXPECT_EQ(tokenizer.encode("aab"), (Ids{'a', 256}));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
}

TEST(Tokenizer, TakesTheLeftmostOfEqualPairs) {
  const Tokenizer tokenizer = make(test::byte_vocabulary({{"a", "a"}}));
  EXPECT_EQ(tokenizer.encode("aaa"), (Ids{256, 'a'}));
}

TEST(Tokenizer, KeepsEveryByteOfAnyText) {
  const Tokenizer tokenizer = make(test::byte_vocabulary({{"a", "b"}, {"\u00C3", "\u00A9"}}, "llama3"));
  CounterRng rng(7, "bytes");
  for (int round = 0; round < 200; ++round) {
    const std::string text = random_bytes(rng, rng.below(200));
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
    EXPECT_EQ(stream(tokenizer, tokenizer.encode(text)), repair_utf8(text));
  }
}

TEST(Tokenizer, IgnoresMergesForWholePiecesWhereAsked) {
  Vocabulary vocabulary = test::byte_vocabulary({{"a", "b"}});
  vocabulary.tokens.emplace_back("xyz");  // no merge leads here
  EXPECT_EQ(make(vocabulary).encode("xyz ab"), (Ids{'x', 'y', 'z', ' ', 256}));
  vocabulary.ignore_merges = true;
  EXPECT_EQ(make(vocabulary).encode("xyz ab"), (Ids{257, ' ', 256}));
}

TEST(Tokenizer, FindsAddedTokensByTheirFlags) {
  Vocabulary vocabulary = test::byte_vocabulary({});
  const std::int32_t special = test::add_token(vocabulary, "<s>", true);
  const std::int32_t plain = test::add_token(vocabulary, "<s>>", false);
  const Tokenizer tokenizer = make(vocabulary);
  EXPECT_EQ(tokenizer.encode("x<s>y"), (Ids{'x', special, 'y'}));
  EXPECT_EQ(tokenizer.encode("<s>>"), (Ids{plain})) << "the longer one";
  EXPECT_EQ(tokenizer.encode("<s>", {.parse_special = false}), (Ids{'<', 's', '>'}));
  EXPECT_EQ(tokenizer.encode("<s>>", {.parse_special = false}), (Ids{plain})) << "not special: always found";
  EXPECT_EQ(tokenizer.decode(Ids{'x', special, plain}), "x<s>>");
  EXPECT_EQ(tokenizer.decode(Ids{'x', special, plain}, false), "x<s><s>>");
}

TEST(Tokenizer, AddsWhatTheVocabularySaysAroundTheText) {
  Vocabulary vocabulary = test::byte_vocabulary({});
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.add_bos = true;
  EXPECT_EQ(make(vocabulary).encode("x", {.add_special = true}), (Ids{1, 'x'}));
  EXPECT_EQ(make(vocabulary).encode("x"), (Ids{'x'}));
  vocabulary.add_eos = true;
  EXPECT_EQ(make(vocabulary).encode("", {.add_special = true}), (Ids{1, 2}));
  vocabulary.prefix = {5, 6};
  EXPECT_EQ(make(vocabulary).encode("x", {.add_special = true}), (Ids{5, 6, 'x', 2}));
}

TEST(Tokenizer, FallsBackToBytes) {
  const Tokenizer tokenizer = make(test::piece_vocabulary({"\u2581", "a"}, {{"\u2581", "a"}}));
  EXPECT_EQ(tokenizer.encode("a"), (Ids{259}));
  EXPECT_EQ(tokenizer.encode("\u00E9"), (Ids{257, 1 + 0xC3, 1 + 0xA9}));
  EXPECT_EQ(tokenizer.encode("\xFF"), (Ids{257, 1 + 0xFF})) << "bytes that are not UTF-8 keep their value";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a \u00E9 a")), "a \u00E9 a");
  EXPECT_EQ(stream(tokenizer, tokenizer.encode(" a \u00E9\xFF a")), " a \u00E9\uFFFD a");
}

TEST(Tokenizer, UsesTheUnknownTokenWhereBytesAreMissing) {
  Vocabulary vocabulary = test::piece_vocabulary({"a"}, {});
  vocabulary.byte_tokens = false;
  vocabulary.normalize.clear();
  EXPECT_EQ(make(vocabulary).encode("xa\u00E9y"), (Ids{0, 257, 0})) << "neighbours fused";
  vocabulary.fuse_unknown = false;
  EXPECT_EQ(make(vocabulary).encode("xa\u00E9y"), (Ids{0, 257, 0, 0}));
  vocabulary.unk.reset();
  EXPECT_EQ(make(vocabulary).encode("xa\u00E9y"), (Ids{257})) << "as the reference: left out";
}

// Cutting where no merge reaches across must not change an id: the same text with a piece boundary forced nowhere else.
TEST(Tokenizer, CutsLongTextsWithoutChangingIds) {
  const test::Merges merges = {{"a", "b"}, {"ab", "a"}, {"\u2581", "a"}, {"c", "c"}, {"b", "\u2581"}};
  const Tokenizer cutting = make(test::piece_vocabulary({"\u2581", "a", "b", "c"}, merges));
  Vocabulary whole_vocabulary = test::piece_vocabulary({"\u2581", "a", "b", "c", "q"}, merges);
  // A merge of a byte token forbids all cuts; no text here can use it.
  whole_vocabulary.tokens.emplace_back("<0x07>q");
  whole_vocabulary.merges.emplace_back("<0x07>", "q");
  const Tokenizer whole = make(std::move(whole_vocabulary));
  CounterRng rng(3, "cuts");
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (std::uint64_t i = rng.below(300); i > 0; --i) text += std::string_view("abc  \n")[rng.below(6)];
    std::string ours;
    std::string theirs;
    for (const std::int32_t id : cutting.encode(text))
      ours += cutting.vocabulary().tokens[static_cast<std::size_t>(id)] + "|";
    for (const std::int32_t id : whole.encode(text))
      theirs += whole.vocabulary().tokens[static_cast<std::size_t>(id)] + "|";
    ASSERT_EQ(ours, theirs) << text;
  }
}

TEST(Tokenizer, TakesALongRunInLinearTime) {
  test::Merges merges;
  for (std::string run = "a"; run.size() < 64; run += run) merges.emplace_back(run, run);
  const Tokenizer tokenizer = make(test::byte_vocabulary(merges));
  const std::string text(1'000'000, 'a');
  const auto start = std::chrono::steady_clock::now();
  const Ids ids = tokenizer.encode(text);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(ids.size(), 1'000'000U / 64);
  EXPECT_LT(seconds.count(), 20) << "a square of a million would take hours";
}

TEST(Tokenizer, GivesTheSameFromManyThreads) {
  const Tokenizer tokenizer = make(test::byte_vocabulary({{"a", "b"}, {"ab", "ab"}, {"\u0120", "ab"}}));
  std::string text;
  CounterRng rng(1, "threads");
  for (int i = 0; i < 20'000; ++i) text += std::string_view("ab ab.\n1")[rng.below(8)];
  const Ids expected = tokenizer.encode(text);
  std::vector<Ids> found(8);
  std::vector<std::thread> threads;
  for (Ids& ids : found) threads.emplace_back([&] { ids = tokenizer.encode(text); });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& ids : found) EXPECT_EQ(ids, expected);
}

TEST(Tokenizer, SkipsIdsThatAreNotThere) {
  const Tokenizer tokenizer = make(test::byte_vocabulary({}));
  EXPECT_EQ(tokenizer.decode(Ids{'a', -1, 1'000'000, 256, 'b'}), "ab");
  EXPECT_EQ(tokenizer.token_bytes(-5), "");
  EXPECT_EQ(tokenizer.token_bytes(0xE9), "\xE9");
}

TEST(StreamDecoder, WaitsForTheRestOfACharacter) {
  const Tokenizer tokenizer = make(test::byte_vocabulary({}));
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.push(0x98), "");
  EXPECT_EQ(decoder.push(0x80), "\U0001F600");
  EXPECT_EQ(decoder.push(0xC3), "");
  EXPECT_EQ(decoder.push('x'), "\uFFFDx") << "what cannot become whole is shown as broken";
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.finish(), "");
}

TEST(StreamDecoder, StripsTheFirstSpaceOnly) {
  const Tokenizer tokenizer = make(test::piece_vocabulary({"\u2581", "a"}, {{"\u2581", "a"}}));
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(257), "") << "the space in front";
  EXPECT_EQ(decoder.push(257), " ");
  EXPECT_EQ(decoder.push(259), " a");
}

Fault fault_of(Vocabulary vocabulary) {
  const auto made = Tokenizer::create(std::move(vocabulary));
  EXPECT_FALSE(made.ok());
  return made.ok() ? Fault::usage : made.error().fault;
}

TEST(Tokenizer, RefusesVocabulariesThatContradictThemselves) {
  const auto with = [](auto change) {
    Vocabulary vocabulary = test::byte_vocabulary({{"a", "b"}});
    change(vocabulary);
    return fault_of(std::move(vocabulary));
  };
  EXPECT_EQ(with([](Vocabulary& v) { v.tokens.clear(); }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.merges.emplace_back("x", "nobody"); }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.merges.emplace_back("x", "y"); }), Fault::corrupt) << "xy is not a token";
  EXPECT_EQ(with([](Vocabulary& v) { v.tokens.emplace_back("ab"); }), Fault::corrupt) << "twice";
  EXPECT_EQ(with([](Vocabulary& v) { v.tokens.erase(v.tokens.begin(), v.tokens.begin() + 256); }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.bos = 257; }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.eos = -1; }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.suffix = {1 << 30}; }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.kinds.resize(3); }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.scores.resize(300); }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.added = {test::added(99999, "x")}; }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.added = {test::added(-1, "x")}; }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.added = {test::added(5, "")}; }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.added = {test::added(5, "not token 5")}; }), Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.added = {test::added(5, v.tokens[5]), test::added(5, v.tokens[5])}; }),
            Fault::corrupt);
  EXPECT_EQ(with([](Vocabulary& v) { v.tokens.emplace_back(1 << 15, 'x'); }), Fault::limit_exceeded);
  EXPECT_EQ(with([](Vocabulary& v) { test::add_token(v, std::string(2000, 'x'), false); }), Fault::limit_exceeded);
  EXPECT_EQ(with([](Vocabulary& v) { v.pre[0].pattern = "(unclosed"; }), Fault::unsupported);
  EXPECT_EQ(with([](Vocabulary& v) { v.pre.assign(40, v.pre[0]); }), Fault::limit_exceeded);
  EXPECT_EQ(with([](Vocabulary& v) { v.decode.push_back({DecodeKind::byte_fallback, "", "", 0, {}}); }),
            Fault::unsupported);
}

}  // namespace
}  // namespace quernel::text
