// Damaged and hostile safetensors files: each is refused with a place, or a second, independent reading agrees that it is
// well formed.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/rng.h"
#include "io/safetensors_header.h"
#include "safetensors_bytes.h"
#include "wide.h"

namespace quernel::io {
namespace {

using test::as_bytes;
using test::safetensors_bytes;
using test::u64_bytes;
using test::Wide;

const std::string kHeader =
    R"({"__metadata__":{"format":"pt"},"w.one":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("w.two":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"z":{"dtype":"U8","shape":[0],"data_offsets":[32,32]}} )";

std::string small_file() { return safetensors_bytes(kHeader, std::string(32, 'd')); }

// The rules of the format once more, over another JSON parser and 128-bit arithmetic. Returns nothing for a bad file, else the
// byte ranges.
std::optional<std::map<std::string, std::pair<std::uint64_t, std::uint64_t>>> judge(const std::string& file) {
  using Node = nlohmann::json;
  if (file.size() < 8) return std::nullopt;
  Wide length = 0;
  for (int i = 7; i >= 0; --i) length = length * 256 + static_cast<unsigned char>(file[static_cast<std::size_t>(i)]);
  if (length + 8 > file.size() || length == 0 || file[8] != '{') return std::nullopt;
  std::vector<std::set<std::string>> keys;
  bool twice = false;
  const Node root = Node::parse(
      file.substr(8, static_cast<std::size_t>(length)),
      [&](int, Node::parse_event_t event, Node& value) {
        if (event == Node::parse_event_t::object_start) keys.emplace_back();
        if (event == Node::parse_event_t::object_end) keys.pop_back();
        if (event == Node::parse_event_t::key) twice |= !keys.back().insert(value.get<std::string>()).second;
        return true;
      },
      false);
  if (root.is_discarded() || twice || !root.is_object()) return std::nullopt;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> ranges;
  std::vector<std::pair<Wide, Wide>> order;
  for (const auto& [name, value] : root.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) return std::nullopt;
      for (const auto& text : value) {
        if (!text.is_string()) return std::nullopt;
      }
      continue;
    }
    if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets") || !value["dtype"].is_string() || !value["shape"].is_array() ||
        !value["data_offsets"].is_array() || value["data_offsets"].size() != 2) {
      return std::nullopt;
    }
    const unsigned bits = safetensors_dtype_bits(value["dtype"].get<std::string>());
    if (bits == 0) return std::nullopt;
    Wide product = bits;
    for (const auto& dimension : value["shape"]) {
      if (!dimension.is_number_unsigned()) return std::nullopt;
      product *= dimension.get<std::uint64_t>();
      if (product > Wide{1} << 64) return std::nullopt;
    }
    const auto& offsets = value["data_offsets"];
    if (!offsets[0].is_number_unsigned() || !offsets[1].is_number_unsigned()) return std::nullopt;
    const Wide begin = offsets[0].get<std::uint64_t>();
    const Wide end = offsets[1].get<std::uint64_t>();
    if (end < begin || product % 8 != 0 || (end - begin) * 8 != product) return std::nullopt;
    order.emplace_back(begin, end);
    ranges[name] = {static_cast<std::uint64_t>(begin + 8 + length), static_cast<std::uint64_t>(end - begin)};
  }
  std::sort(order.begin(), order.end());
  Wide next = 0;
  for (const auto& [begin, end] : order) {
    if (begin != next) return std::nullopt;
    next = end;
  }
  if (next + 8 + length != file.size()) return std::nullopt;
  return ranges;
}

// Ours refuses, with a place inside the file, or agrees with the judge about every tensor.
void expect_sound(const std::string& file, const std::string& what) {
  const auto header = parse_safetensors_header(as_bytes(file), "m");
  if (!header.ok()) {
    ASSERT_EQ(header.error().file, "m") << what;
    ASSERT_TRUE(header.error().offset.has_value()) << what << to_string(header.error());
    ASSERT_LE(*header.error().offset, file.size()) << what;
    return;
  }
  const auto ranges = judge(file);
  ASSERT_TRUE(ranges.has_value()) << what << ": accepted, but not well formed";
  ASSERT_EQ(ranges->size(), header->entries.size()) << what;
  for (const SafetensorsEntry& entry : header->entries) {
    const auto range = ranges->at(entry.name);
    ASSERT_EQ(entry.offset_bytes, range.first) << what;
    ASSERT_EQ(entry.size_bytes, range.second) << what;
    ASSERT_LE(entry.offset_bytes + entry.size_bytes, file.size()) << what;
  }
}

TEST(SafetensorsHostile, TruncationAtEveryByteIsRefused) {
  const std::string whole = small_file();
  ASSERT_TRUE(parse_safetensors_header(as_bytes(whole), "m").ok());
  ASSERT_TRUE(judge(whole).has_value());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto header = parse_safetensors_header(as_bytes(std::string_view(whole).substr(0, length)), "m");
    ASSERT_FALSE(header.ok()) << length;
    EXPECT_EQ(header.error().fault, Fault::corrupt) << length;
    EXPECT_TRUE(header.error().offset.has_value()) << length;
    EXPECT_EQ(header.error().file, "m");
  }
}

TEST(SafetensorsHostile, AddedBytesAreRefused) {
  for (const std::size_t extra : {1U, 8U, 4096U}) {
    const auto header = parse_safetensors_header(as_bytes(small_file() + std::string(extra, '\0')), "m");
    ASSERT_FALSE(header.ok());
    EXPECT_EQ(header.error().offset, small_file().size());
  }
}

TEST(SafetensorsHostile, EveryBitOfTheHeaderFlipped) {
  const std::string whole = small_file();
  for (std::size_t bit = 0; bit < 8 * (8 + kHeader.size()); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(static_cast<unsigned char>(flipped[bit / 8]) ^ (1U << bit % 8));
    expect_sound(flipped, "bit " + std::to_string(bit));
  }
}

TEST(SafetensorsHostile, MutatedHeaders) {
  const std::string alphabet = "{}[]\",:0123456789-eE. \\uadtypeshbFU\xC3\xFF";
  const char* const pieces[] = {"18446744073709551615",
                                "9223372036854775808",
                                "4294967296",
                                "-1",
                                "1e3",
                                "null",
                                "[]",
                                "{}",
                                "\"F64\"",
                                "\"F4\"",
                                "\"shape\":[1],",
                                "\"__metadata__\":{},",
                                "0",
                                ",",
                                "1.0"};
  CounterRng rng(11, "safetensors mutation");
  for (int round = 0; round < 20'000; ++round) {
    std::string header = kHeader;
    for (std::uint64_t edits = 1 + rng.below(3); edits > 0; --edits) {
      const auto at = static_cast<std::size_t>(rng.below(header.size()));
      switch (rng.below(4)) {
        case 0: header[at] = alphabet[static_cast<std::size_t>(rng.below(alphabet.size()))]; break;
        case 1: header.erase(at, static_cast<std::size_t>(1 + rng.below(4))); break;
        case 2: header.insert(at, pieces[rng.below(std::size(pieces))]); break;
        default: {  // a number becomes another one
          const std::size_t digit = header.find_first_of("0123456789", at);
          if (digit != std::string::npos) header.replace(digit, 1, pieces[rng.below(std::size(pieces))]);
        }
      }
    }
    expect_sound(safetensors_bytes(header, std::string(32, 'd')), header);
  }
}

struct Hostile {
  const char* name;
  std::string file;
  Fault fault;
};

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets,
                std::size_t data_bytes) {
  return safetensors_bytes("{\"a\":" + entry(dtype, shape, offsets) + "}", std::string(data_bytes, 'd'));
}
std::string two(const std::string& first, const std::string& second, std::size_t data_bytes) {
  return safetensors_bytes("{\"a\":" + entry("U8", "[4]", first) + ",\"b\":" + entry("U8", "[4]", second) + "}",
                           std::string(data_bytes, 'd'));
}
std::string raw(const std::string& header) { return safetensors_bytes(header, "dddd"); }

TEST(SafetensorsHostile, HandMadeFiles) {
  const Hostile files[] = {
      {"length of 2^64 - 1", u64_bytes(~0ULL) + "{}", Fault::limit_exceeded},
      {"length of 2^63", u64_bytes(1ULL << 63) + "{}", Fault::limit_exceeded},
      {"length that wraps with its own 8 bytes", u64_bytes(0ULL - 8) + "{}", Fault::limit_exceeded},
      {"length above the limit", u64_bytes(100'000'001) + "{}", Fault::limit_exceeded},
      {"length beyond the file", u64_bytes(3) + "{}", Fault::corrupt},
      {"length of 0", u64_bytes(0), Fault::corrupt},
      {"space before the header", raw(" {}"), Fault::corrupt},
      {"byte order mark", raw("\xEF\xBB\xBF{}"), Fault::corrupt},
      {"array", raw("[]"), Fault::corrupt},
      {"NUL padding", safetensors_bytes(std::string("{}\0\0", 4), ""), Fault::corrupt},
      {"two objects", safetensors_bytes("{}{}", ""), Fault::corrupt},
      {"deep nesting", safetensors_bytes("{\"a\":" + std::string(200'000, '['), ""), Fault::corrupt},
      {"deep nesting in the shape", safetensors_bytes("{\"a\":{\"shape\":" + std::string(200'000, '['), ""),
       Fault::corrupt},
      {"duplicate tensor",
       safetensors_bytes("{\"a\":" + entry("U8", "[1]", "[0,1]") + ",\"a\":" + entry("U8", "[1]", "[1,2]") + "}", "dd"),
       Fault::corrupt},
      {"duplicate tensor by escape",
       safetensors_bytes("{\"a\":" + entry("U8", "[1]", "[0,1]") + ",\"\\u0061\":" + entry("U8", "[1]", "[1,2]") + "}",
                         "dd"),
       Fault::corrupt},
      {"duplicate field", raw(R"({"a":{"dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4]}})"), Fault::corrupt},
      {"duplicate metadata", raw(R"({"__metadata__":{"x":"1","x":"2"}})"), Fault::corrupt},
      {"metadata twice", raw(R"({"__metadata__":{},"__metadata__":{}})"), Fault::corrupt},
      {"metadata with a number", raw(R"({"__metadata__":{"x":1}})"), Fault::corrupt},
      {"metadata with an object", raw(R"({"__metadata__":{"x":{}}})"), Fault::corrupt},
      {"metadata that is a string", raw(R"({"__metadata__":"x"})"), Fault::corrupt},
      {"tensor that is a string", raw(R"({"a":"b"})"), Fault::corrupt},
      {"field missing", raw(R"({"a":{"dtype":"U8","shape":[4]}})"), Fault::corrupt},
      {"field unknown", raw(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"strides":[1]}})"), Fault::corrupt},
      {"dtype unknown", one("F7", "[4]", "[0,4]", 4), Fault::unsupported},
      {"dtype empty", one("", "[4]", "[0,4]", 4), Fault::unsupported},
      {"dtype in small letters", one("f32", "[1]", "[0,4]", 4), Fault::unsupported},
      {"dtype a number", raw(R"({"a":{"dtype":8,"shape":[4],"data_offsets":[0,4]}})"), Fault::corrupt},
      {"negative dimension", one("U8", "[-4]", "[0,4]", 4), Fault::corrupt},
      {"fractional dimension", one("U8", "[4.0]", "[0,4]", 4), Fault::corrupt},
      {"dimension with exponent", one("U8", "[4e0]", "[0,4]", 4), Fault::corrupt},
      {"dimension of 2^63", one("U8", "[9223372036854775808]", "[0,4]", 4), Fault::corrupt},
      {"dimension of 2^64", one("U8", "[18446744073709551616]", "[0,4]", 4), Fault::corrupt},
      {"product wraps to 4", one("U8", "[4611686018427387905,4]", "[0,4]", 4), Fault::corrupt},
      {"product wraps to 0", one("U8", "[4294967296,4294967296]", "[0,0]", 0), Fault::corrupt},
      {"size in bits wraps", one("F64", "[2305843009213693952]", "[0,0]", 0), Fault::corrupt},
      {"zero hides a product that wraps", one("U8", "[4611686018427387904,4,0]", "[0,0]", 0), Fault::corrupt},
      {"too many dimensions", one("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]", 1), Fault::limit_exceeded},
      {"half a byte left over", one("F4", "[3]", "[0,1]", 1), Fault::corrupt},
      {"one offset", one("U8", "[4]", "[0]", 4), Fault::corrupt},
      {"three offsets", one("U8", "[4]", "[0,4,4]", 4), Fault::corrupt},
      {"offsets turned round", one("U8", "[4]", "[4,0]", 4), Fault::corrupt},
      {"negative offset", one("U8", "[4]", "[-4,0]", 4), Fault::corrupt},
      {"offset of 2^64 - 1", one("U8", "[4]", "[0,18446744073709551615]", 4), Fault::corrupt},
      {"begin and end near 2^64", one("U8", "[4]", "[18446744073709551611,18446744073709551615]", 4), Fault::corrupt},
      {"size differs from shape", one("U8", "[3]", "[0,4]", 4), Fault::corrupt},
      {"first tensor not at 0", one("U8", "[4]", "[1,5]", 5), Fault::corrupt},
      {"hole", two("[0,4]", "[5,9]", 9), Fault::corrupt},
      {"overlap", two("[0,4]", "[3,7]", 7), Fault::corrupt},
      {"same place twice", two("[0,4]", "[0,4]", 4), Fault::corrupt},
      {"end beyond the file", two("[0,4]", "[4,8]", 7), Fault::corrupt},
      {"bytes after the last tensor", two("[0,4]", "[4,8]", 9), Fault::corrupt},
      {"data without tensors", safetensors_bytes("{}", "d"), Fault::corrupt},
      {"empty name", safetensors_bytes("{\"\":" + entry("U8", "[1]", "[0,1]") + "}", "d"), Fault::corrupt},
      {"NUL in a name", safetensors_bytes("{\"a\\u0000b\":" + entry("U8", "[1]", "[0,1]") + "}", "d"), Fault::corrupt},
      {"escape sequence of a terminal in a name",
       safetensors_bytes("{\"\\u001b[2J\":" + entry("U8", "[1]", "[0,1]") + "}", "d"), Fault::corrupt},
      {"name too long",
       safetensors_bytes("{\"" + std::string(1025, 'n') + "\":" + entry("U8", "[1]", "[0,1]") + "}", "d"),
       Fault::limit_exceeded},
      {"invalid UTF-8 in a name", safetensors_bytes("{\"\xFF\":" + entry("U8", "[1]", "[0,1]") + "}", "d"),
       Fault::corrupt},
      {"NaN in the shape", one("U8", "[NaN]", "[0,4]", 4), Fault::corrupt},
  };
  for (const Hostile& hostile : files) {
    const auto header = parse_safetensors_header(as_bytes(hostile.file), "m");
    ASSERT_FALSE(header.ok()) << hostile.name;
    EXPECT_EQ(header.error().fault, hostile.fault) << hostile.name << ": " << to_string(header.error());
    EXPECT_EQ(header.error().file, "m") << hostile.name;
    EXPECT_TRUE(header.error().offset.has_value()) << hostile.name << ": " << to_string(header.error());
  }
}

TEST(SafetensorsHostile, ErrorsNameTensorFieldAndFigures) {
  const std::string file = two("[0,4]", "[5,9]", 9);
  const auto header = parse_safetensors_header(as_bytes(file), "m");
  ASSERT_FALSE(header.ok());
  EXPECT_EQ(header.error().tensor, "b");
  EXPECT_EQ(header.error().field, "data_offsets");
  EXPECT_EQ(header.error().expected, "begin at 4");
  EXPECT_EQ(header.error().found, "5");
  EXPECT_EQ(header.error().offset, file.find("\"b\""));
}

}  // namespace
}  // namespace quernel::io
