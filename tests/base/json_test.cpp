#include "base/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>

#include "base/rng.h"

namespace quernel {
namespace {

using namespace std::string_literals;

TEST(Json, KeepsOrderTypesAndText) {
  const auto parsed = parse_json(
      R"( {"b": 1, "a": [true, null, -2.5e3], "u": 18446744073709551615, "s": "\u00e9\ud83d\ude00\n"} )", "x.json");
  ASSERT_TRUE(parsed.ok()) << to_string(parsed.error());
  EXPECT_EQ(dump_json(*parsed),
            "{\"b\":1,\"a\":[true,null,-2500.0],\"u\":18446744073709551615,\"s\":\"\xC3\xA9\xF0\x9F\x98\x80\\n\"}");
  EXPECT_TRUE((*parsed)["b"].is_number_integer());
  EXPECT_TRUE((*parsed)["u"].is_number_unsigned());
}

TEST(Json, ErrorsCarryTheByteOffset) {
  struct Case {
    const char* name;
    std::string text;
    Fault fault;
    std::uint64_t offset;
  };
  const Case cases[] = {
      {"empty", "", Fault::corrupt, 0},
      {"spaces", "   ", Fault::corrupt, 3},
      {"open object", "{\"a\":1", Fault::corrupt, 6},
      {"trailing comma", "[1,]", Fault::corrupt, 3},
      {"trailing comma in object", "{\"a\":1,}", Fault::corrupt, 7},
      {"missing comma", "[1 2]", Fault::corrupt, 3},
      {"missing colon", "{\"a\" 1}", Fault::corrupt, 5},
      {"wrong bracket", "[1}", Fault::corrupt, 2},
      {"text after the end", "{} x", Fault::corrupt, 3},
      {"two values", "{}{}", Fault::corrupt, 2},
      {"leading zero", "[01]", Fault::corrupt, 2},
      {"bare minus", "[-]", Fault::corrupt, 2},
      {"plus", "[+1]", Fault::corrupt, 1},
      {"no digit after point", "[1.]", Fault::corrupt, 3},
      {"no digit before point", "[.5]", Fault::corrupt, 1},
      {"no exponent", "[1e]", Fault::corrupt, 3},
      {"hexadecimal", "[0x10]", Fault::corrupt, 2},
      {"huge number", "[1e999]", Fault::corrupt, 1},
      {"NaN", "[NaN]", Fault::corrupt, 1},
      {"Infinity", "[Infinity]", Fault::corrupt, 1},
      {"comment", "[1/**/]", Fault::corrupt, 2},
      {"single quotes", "['a']", Fault::corrupt, 1},
      {"control character", "[\"a\nb\"]", Fault::corrupt, 3},
      {"NUL in a string", "[\"a\0b\"]"s, Fault::corrupt, 3},
      {"NUL between values", "[1,\0002]"s, Fault::corrupt, 3},
      {"NUL after the end", "[1]\0"s, Fault::corrupt, 3},
      {"unknown escape", "[\"\\x41\"]", Fault::corrupt, 3},
      {"short unicode escape", "[\"\\u12\"]", Fault::corrupt, 6},
      {"lone high surrogate", "[\"\\ud800\"]", Fault::corrupt, 2},
      {"lone low surrogate", "[\"\\udc00\"]", Fault::corrupt, 2},
      {"two high surrogates", "[\"\\ud800\\ud800\"]", Fault::corrupt, 2},
      {"invalid UTF-8", "[\"ab\xFF\"]", Fault::corrupt, 4},
      {"overlong UTF-8", "[\"\xC0\x80\"]", Fault::corrupt, 2},
      {"surrogate in UTF-8", "[\"\xED\xA0\x80\"]", Fault::corrupt, 2},
      {"beyond U+10FFFF", "[\"\xF4\x90\x80\x80\"]", Fault::corrupt, 2},
      {"cut UTF-8", "[\"\xE2\x82\"]", Fault::corrupt, 2},
      {"open string", "[\"abc", Fault::corrupt, 5},
      {"cut escape", "[\"\\", Fault::corrupt, 3},
      {"cut literal", "[tru", Fault::corrupt, 4},
      {"wrong literal", "[nul1]", Fault::corrupt, 4},
      {"key is a number", "{1:2}", Fault::corrupt, 1},
      {"duplicate key", "{\"a\":1,\"b\":2,\"a\":3}", Fault::corrupt, 13},
      {"duplicate key by escape", "{\"a\":1,\"\\u0061\":3}", Fault::corrupt, 7},
      {"duplicate key further in", "[{\"x\":{\"k\":0,\"k\":1}}]", Fault::corrupt, 13},
      {"offset counts a byte order mark", "\xEF\xBB\xBF[1,]", Fault::corrupt, 6},
  };
  for (const Case& c : cases) {
    const auto parsed = parse_json(c.text, "f.json");
    ASSERT_FALSE(parsed.ok()) << c.name;
    EXPECT_EQ(parsed.error().fault, c.fault) << c.name;
    EXPECT_EQ(parsed.error().offset, c.offset) << c.name << ": " << to_string(parsed.error());
    EXPECT_EQ(parsed.error().file, "f.json") << c.name;
  }
}

TEST(Json, DuplicateKeyIsNamed) {
  const auto parsed = parse_json(R"({"k": 1, "k": 2})", "f");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().field, "k");
}

TEST(Json, DepthAtTheLimitAndOneMore) {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
  };
  EXPECT_TRUE(parse_json(nested(kMaxJsonDepth), "f").ok());
  const auto deeper = parse_json(nested(kMaxJsonDepth + 1), "f");
  ASSERT_FALSE(deeper.ok());
  EXPECT_EQ(deeper.error().fault, Fault::limit_exceeded);
  EXPECT_EQ(deeper.error().offset, static_cast<std::uint64_t>(kMaxJsonDepth));
  EXPECT_FALSE(parse_json(std::string(1'000'000, '['), "f").ok());
  EXPECT_FALSE(parse_json(std::string(1'000'000, '{'), "f").ok());
  // Depth is counted per path, not per bracket.
  std::string wide = "[";
  for (int i = 0; i < 500; ++i) wide += "[[]],";
  EXPECT_TRUE(parse_json(wide + "[]]", "f").ok());
}

TEST(Json, NumberOfValuesAtTheLimitAndOneMore) {
  std::string text = "[";
  for (std::int64_t i = 2; i < kMaxJsonValues; ++i) text += "0,";
  EXPECT_TRUE(parse_json(text + "0]", "f").ok());
  const auto more = parse_json(text + "0,0]", "f");
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().fault, Fault::limit_exceeded);
}

TEST(Json, TextLongerThanTheLimitIsNotRead) {
  std::string text(kMaxJsonBytes, ' ');
  text[0] = '0';
  EXPECT_TRUE(parse_json(text, "f").ok());
  text.push_back(' ');
  const auto parsed = parse_json(text, "f");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().fault, Fault::limit_exceeded);
}

TEST(Json, ManyMembersTakeLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 300'000; ++i) text += "\"token" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text += "\"end\":0}";
  const auto parsed = parse_json(text, "f");  // quadratic insertion would take minutes
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->size(), 300'001U);
  text.insert(text.size() - 1, ",\"token77\":0");
  EXPECT_FALSE(parse_json(text, "f").ok());
}

TEST(Json, NumbersAgreeWithTheLibrary) {
  for (const char* text : {"0", "-0", "-0.0", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
                           "-9223372036854775809", "18446744073709551616", "1e-400", "4.9e-324", "1e308", "1E+2", "0.1",
                           "123456789012345678901234567890", "2.2250738585072011e-308", "10000000.0", "1e-05"}) {
    const auto ours = parse_json(text, "f");
    ASSERT_TRUE(ours.ok()) << text;
    EXPECT_EQ(*ours, Json::parse(text)) << text;
    EXPECT_EQ(ours->is_number_float(), Json::parse(text).is_number_float()) << text;
    EXPECT_EQ(dump_json(*ours), Json::parse(text).dump()) << text;
  }
}

// Every accepted text is accepted by the library with the same tree, and the reverse, unless keys repeat.
TEST(Json, MutatedTextsAgreeWithTheLibrary) {
  const std::string seed_text =
      R"({"a":[1,-2.5e-3,true,false,null,{"b\u00e9":"x\ud83d\ude00\\"}],"cc":{"d":"é","e":[],"f":{}}, "g" : 12345678901234567890})";
  const std::string alphabet = "{}[]\",:0123456789eE+-.\\utrfalsn \xC3\xA9\xFF\x01/";
  CounterRng rng(7, "json mutation");
  int accepted = 0;
  for (int round = 0; round < 60'000; ++round) {
    std::string text = seed_text;
    for (std::uint64_t edits = 1 + rng.below(3); edits > 0; --edits) {
      const auto at = static_cast<std::size_t>(rng.below(text.size()));
      const char c = alphabet[static_cast<std::size_t>(rng.below(alphabet.size()))];
      switch (rng.below(3)) {
        case 0: text[at] = c; break;
        case 1: text.insert(at, 1, c); break;
        default: text.erase(at, 1); break;
      }
    }
    const auto ours = parse_json(text, "f");
    const Json theirs = Json::parse(text, nullptr, false);
    if (!ours.ok() && ours.error().message.find("duplicate key") != std::string::npos) continue;
    ASSERT_EQ(ours.ok(), !theirs.is_discarded()) << text << "\n" << (ours.ok() ? "" : to_string(ours.error()));
    if (!ours.ok()) {
      ASSERT_LE(ours.error().offset.value(), text.size()) << text;
      continue;
    }
    ++accepted;
    ASSERT_EQ(dump_json(*ours), dump_json(theirs)) << text;
  }
  EXPECT_GT(accepted, 1000);
}

TEST(Json, EveryTruncationIsRefused) {
  const std::string text = R"({"a":[1,2.5,true,null],"b":{"c":"\u0041\ud83d\ude00é"}})";
  ASSERT_TRUE(parse_json(text, "f").ok());
  for (std::size_t length = 0; length < text.size(); ++length) {
    const auto parsed = parse_json(std::string_view(text).substr(0, length), "f");
    ASSERT_FALSE(parsed.ok()) << length;
    ASSERT_TRUE(parsed.error().offset.has_value()) << length;
    EXPECT_LE(*parsed.error().offset, length);
  }
}

TEST(Json, TypedMembers) {
  const Json object =
      *parse_json(R"({"i":-3,"d":2.5,"whole":4.0,"s":"x","t":true,"n":null,"big":18446744073709551615,"o":{}})", "f");
  EXPECT_EQ(*json_int(object, "i"), -3);
  EXPECT_EQ(*json_number(object, "d"), 2.5);
  EXPECT_EQ(*json_number(object, "i"), -3.0);
  EXPECT_EQ(*json_string(object, "s"), "x");
  EXPECT_TRUE(*json_bool(object, "t"));
  EXPECT_EQ(*json_int_or(object, "n", 5), 5);
  EXPECT_EQ(*json_int_or(object, "absent", 6), 6);
  EXPECT_EQ(*json_number_or(object, "i", 1.5), -3.0);
  EXPECT_EQ(*json_string_or(object, "absent", "y"), "y");
  EXPECT_FALSE(*json_bool_or(object, "n", false));

  EXPECT_EQ(json_int(object, "absent").error().fault, Fault::not_found);
  EXPECT_EQ(json_int(object, "absent").error().field, "absent");
  for (const char* key : {"d", "whole", "s", "t", "n", "big", "o"}) {
    const auto value = json_int(object, key);
    ASSERT_FALSE(value.ok()) << key;
    EXPECT_EQ(value.error().fault, Fault::corrupt) << key;
    EXPECT_EQ(value.error().field, key);
    EXPECT_FALSE(value.error().found.empty());
  }
  EXPECT_FALSE(json_int_or(object, "s", 1).ok());
  EXPECT_FALSE(json_number(object, "s").ok());
  EXPECT_FALSE(json_bool(object, "i").ok());
  EXPECT_FALSE(json_string(object, "i").ok());
  EXPECT_FALSE(json_int(Json::array(), "i").ok());
}

TEST(Json, DumpReplacesInvalidText) {
  EXPECT_EQ(dump_json(Json("a\xFF")), "\"a\xEF\xBF\xBD\"");
  EXPECT_EQ(dump_json(Json{{"a", 1}}, 2), "{\n  \"a\": 1\n}");
}

TEST(JsonReader, WalksWithoutATree) {
  JsonReader reader(R"({"n": 18446744073709551615, "list": [1, 2]})", "f", 8);
  std::string key;
  ASSERT_TRUE(reader.begin_object().ok());
  ASSERT_TRUE(*reader.next_key(key));
  EXPECT_EQ(key, "n");
  EXPECT_EQ(reader.token_offset(), 9U);
  EXPECT_EQ(*reader.read_u64(), std::numeric_limits<std::uint64_t>::max());
  ASSERT_TRUE(*reader.next_key(key));
  ASSERT_TRUE(reader.begin_array().ok());
  ASSERT_TRUE(*reader.next_element());
  EXPECT_EQ(*reader.read_u64(), 1U);
  ASSERT_TRUE(*reader.next_element());
  EXPECT_EQ(*reader.read_u64(), 2U);
  EXPECT_FALSE(*reader.next_element());
  EXPECT_FALSE(*reader.next_key(key));
  EXPECT_TRUE(reader.finish().ok());
}

TEST(JsonReader, WholeNumbersOnly) {
  for (const char* text : {"-1", "1.0", "1e3", "18446744073709551616", "\"1\"", "null", "-0", ""}) {
    JsonReader reader(text, "f", 100);
    const auto value = reader.read_u64();
    ASSERT_FALSE(value.ok()) << text;
    EXPECT_GE(value.error().offset.value(), 100U);
  }
}

}  // namespace
}  // namespace quernel
