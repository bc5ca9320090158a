// Damaged and hostile GGUF files: each is refused with a place, or a second, independent reading agrees that it is well formed.
#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "base/rng.h"
#include "gguf_bytes.h"
#include "io/gguf_parser.h"
#include "safetensors_bytes.h"
#include "wide.h"

namespace quernel::io {
namespace {

using namespace test;  // NOLINT: the builders

// The format read once more, in the plainest way: 128-bit numbers, exceptions for the end of the file.
class Judge {
 public:
  explicit Judge(const std::string& file) : file_(file) {}

  // Byte ranges of the tensors, or nothing for a bad file.
  std::optional<std::vector<std::pair<std::uint64_t, std::uint64_t>>> read() {
    try {
      return read_or_throw();
    } catch (const std::exception&) {
      return std::nullopt;
    }
  }

 private:
  struct Info {
    Wide elements = 1;
    Wide row = 0;
    std::uint32_t type = 0;
    Wide offset = 0;
  };

  Wide number(std::size_t bytes) {
    Wide value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value |= Wide{static_cast<unsigned char>(file_.at(at_ + i))} << 8 * i;
    at_ += bytes;
    return value;
  }
  static void demand(bool condition) {
    if (!condition) throw std::runtime_error("bad");
  }
  void skip(Wide bytes) {
    demand(bytes <= file_.size() - at_);
    at_ += static_cast<std::size_t>(bytes);
  }
  std::string text() {
    const Wide length = number(8);
    const std::size_t begin = at_;
    skip(length);
    return file_.substr(begin, static_cast<std::size_t>(length));
  }
  void booleans(Wide count) {
    for (Wide i = 0; i < count; ++i) demand(number(1) <= 1);
  }
  Wide value(Wide kind, bool in_array) {
    static constexpr int kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    demand(kind < 13 && !(in_array && kind == 9));
    if (kind == 8) {
      text();
    } else if (kind == 9) {
      const Wide element = number(4);
      const Wide count = number(8);
      demand(count <= file_.size());
      demand(element < 13 && element != 9);
      for (Wide i = 0; i < count; ++i) value(element, true);
    } else if (kind == 7) {
      booleans(1);
    } else {
      return number(static_cast<std::size_t>(kBytes[static_cast<std::size_t>(kind)]));
    }
    return 0;
  }

  std::optional<std::vector<std::pair<std::uint64_t, std::uint64_t>>> read_or_throw() {
    demand(file_.substr(0, 4) == "GGUF");
    at_ = 4;
    const Wide version = number(4);
    demand(version == 2 || version == 3);
    const Wide num_tensors = number(8);
    const Wide num_pairs = number(8);
    Wide alignment = 32;
    std::set<std::string> keys;
    for (Wide i = 0; i < num_pairs; ++i) {
      const std::string key = text();
      demand(!key.empty() && keys.insert(key).second);
      const Wide kind = number(4);
      const Wide plain = value(kind, false);
      if (key == "general.alignment") {
        demand(kind == 4 && plain > 0 && (plain & (plain - 1)) == 0);
        alignment = plain;
      }
    }
    std::vector<Info> infos;
    std::set<std::string> names;
    for (Wide i = 0; i < num_tensors; ++i) {
      const std::string name = text();
      demand(!name.empty() && name.size() < 64 && names.insert(name).second);
      const Wide rank = number(4);
      demand(rank >= 1 && rank <= 4);
      Info info;
      for (Wide d = 0; d < rank; ++d) {
        const Wide size = number(8);
        if (d == 0) info.row = size;
        info.elements *= size;
        demand(info.elements < Wide{1} << 63);
      }
      info.type = static_cast<std::uint32_t>(number(4));
      info.offset = number(8);
      infos.push_back(info);
    }
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    if (infos.empty()) return ranges;
    const Wide begin = (Wide{at_} + alignment - 1) / alignment * alignment;
    Wide next = 0;
    for (std::size_t i = 0; i < infos.size(); ++i) {
      const Info& info = infos[i];
      demand(info.offset == next);
      Wide bytes = 0;
      if (const GgufTypeSize* size = find_gguf_type(info.type); size != nullptr) {
        demand(info.row % size->elements_per_block == 0);
        bytes = info.elements / size->elements_per_block * size->bytes_per_block;
      } else {  // newer than the table: up to the next tensor
        const Wide end = i + 1 < infos.size() ? infos[i + 1].offset : file_.size() - begin;
        demand(end >= next);
        bytes = end - next;
      }
      demand(begin + next + bytes <= file_.size());
      ranges.emplace_back(static_cast<std::uint64_t>(begin + next), static_cast<std::uint64_t>(bytes));
      next = (next + bytes + alignment - 1) / alignment * alignment;
    }
    return ranges;
  }

  const std::string& file_;
  std::size_t at_ = 0;
};

// Ours refuses, with a place inside the file, or agrees with the judge about every tensor.
void expect_sound(const std::string& file, const std::string& what) {
  const auto header = parse_gguf_header(as_bytes(file), "m");
  if (!header.ok()) {
    ASSERT_EQ(header.error().file, "m") << what;
    ASSERT_TRUE(header.error().offset.has_value()) << what << to_string(header.error());
    ASSERT_LE(*header.error().offset, file.size()) << what;
    return;
  }
  const auto ranges = Judge(file).read();
  ASSERT_TRUE(ranges.has_value()) << what << ": accepted, but not well formed";
  ASSERT_EQ(ranges->size(), header->tensors.size()) << what;
  for (std::size_t i = 0; i < ranges->size(); ++i) {
    ASSERT_EQ(header->tensors[i].offset_bytes, (*ranges)[i].first) << what;
    ASSERT_EQ(header->tensors[i].size_bytes, (*ranges)[i].second) << what;
  }
}

TEST(GgufHostile, TruncationAtEveryByteIsRefused) {
  const GgufBuilder gguf = small_gguf();
  const std::string whole = gguf.build();
  ASSERT_TRUE(Judge(whole).read().has_value());
  const std::size_t needed = whole.size() - 27;  // the padding after the last tensor holds nothing
  for (std::size_t length = 0; length < needed; ++length) {
    const std::string part = whole.substr(0, length);
    const auto header = parse_gguf_header(as_bytes(part), "m");
    ASSERT_FALSE(header.ok()) << length;
    EXPECT_EQ(header.error().fault, Fault::corrupt) << length << to_string(header.error());
    EXPECT_TRUE(header.error().offset.has_value()) << length;
    EXPECT_EQ(header.error().file, "m");
  }
  for (std::size_t length = needed; length <= whole.size(); ++length) expect_sound(whole.substr(0, length), "padding");
}

TEST(GgufHostile, EveryBitOfTheHeaderFlipped) {
  const std::string whole = small_gguf().build();
  const std::size_t head = small_gguf().head().size();
  for (std::size_t bit = 0; bit < 8 * head; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(static_cast<unsigned char>(flipped[bit / 8]) ^ (1U << bit % 8));
    expect_sound(flipped, "bit " + std::to_string(bit));
  }
}

TEST(GgufHostile, MutatedHeaders) {
  const std::string whole = small_gguf().build();
  const std::size_t head = small_gguf().head().size();
  const std::uint64_t numbers[] = {0,   1,     31,         32,         33,         63,         64,
                                   255, 65536, 1ULL << 31, 1ULL << 32, 1ULL << 62, 1ULL << 63, ~0ULL};
  CounterRng rng(12, "gguf mutation");
  for (int round = 0; round < 20'000; ++round) {
    std::string file = whole;
    for (std::uint64_t edits = 1 + rng.below(3); edits > 0; --edits) {
      const auto at = static_cast<std::size_t>(rng.below(head));
      switch (rng.below(4)) {
        case 0: file[at] = static_cast<char>(rng.below(256)); break;
        case 1: file.erase(at, static_cast<std::size_t>(1 + rng.below(8))); break;
        case 2: file.insert(at, static_cast<std::size_t>(1 + rng.below(8)), static_cast<char>(rng.below(3))); break;
        default: file.replace(at, 8, number_bytes(numbers[rng.below(std::size(numbers))]));
      }
    }
    expect_sound(file, "round " + std::to_string(round));
  }
}

struct Hostile {
  const char* name;
  std::string file;
  Fault fault;
};

std::string with_pair(const std::string& pair) {
  GgufBuilder gguf;
  gguf.pairs = {pair};
  return gguf.build();
}
std::string with_tensors(std::vector<std::string> tensors, std::size_t data_bytes) {
  GgufBuilder gguf;
  gguf.tensors = std::move(tensors);
  gguf.data = std::string(data_bytes, '\0');
  return gguf.build();
}
std::string with_counts(std::int64_t tensors, std::int64_t pairs) {
  GgufBuilder gguf;
  gguf.extra_tensors = tensors;
  gguf.extra_pairs = pairs;
  return gguf.build();
}
std::string with_version(std::uint32_t version) {
  GgufBuilder gguf;
  gguf.version = version;
  return gguf.build();
}
std::string u32_pair(const char* key, std::uint32_t value) { return pair_bytes(key, kU32, number_bytes(value)); }

TEST(GgufHostile, HandMadeFiles) {
  const std::uint64_t huge = ~0ULL;
  const Hostile files[] = {
      {"empty", "", Fault::corrupt},
      {"other magic", "GGML" + std::string(100, '\0'), Fault::corrupt},
      {"magic alone", "GGUF", Fault::corrupt},
      {"version 0", with_version(0), Fault::unsupported},
      {"version 1", with_version(1), Fault::unsupported},
      {"version 4", with_version(4), Fault::unsupported},
      {"big-endian version 3", with_version(0x03000000), Fault::unsupported},
      {"big-endian version 2", with_version(0x02000000), Fault::unsupported},
      {"2^64 - 1 tensors", with_counts(-1, 0), Fault::limit_exceeded},
      {"2^63 tensors", with_counts(std::int64_t{1} << 62, 0), Fault::limit_exceeded},
      {"200,000 tensors that are not there", with_counts(200'000, 0), Fault::corrupt},
      {"2^64 - 1 pairs", with_counts(0, -1), Fault::limit_exceeded},
      {"60,000 pairs that are not there", with_counts(0, 60'000), Fault::corrupt},
      {"empty key", with_pair(u32_pair("", 1)), Fault::corrupt},
      {"NUL in a key", with_pair(string_bytes(std::string("a\0b", 3)) + number_bytes<std::uint32_t>(kU8) + "x"),
       Fault::corrupt},
      {"key of 2^64 - 1 bytes", with_pair(number_bytes(huge) + "k"), Fault::corrupt},
      {"key beyond the limit", with_pair(u32_pair(std::string(65'536, 'k').c_str(), 1)), Fault::limit_exceeded},
      {"kind 13", with_pair(pair_bytes("k", 13, "")), Fault::corrupt},
      {"kind 2^32 - 1", with_pair(pair_bytes("k", 0xFFFFFFFF, "")), Fault::corrupt},
      {"string of 2^64 - 1 bytes", with_pair(pair_bytes("k", kString, number_bytes(huge))), Fault::corrupt},
      {"string of 2^63 bytes", with_pair(pair_bytes("k", kString, number_bytes(1ULL << 63))), Fault::corrupt},
      {"boolean 2", with_pair(pair_bytes("k", kBool, "\2")), Fault::corrupt},
      {"boolean 255 in an array", with_pair(pair_bytes("k", kArray, array_bytes(kBool, 2, "\1\xFF"))), Fault::corrupt},
      {"array of arrays", with_pair(pair_bytes("k", kArray, array_bytes(kArray, 1, array_bytes(kU8, 1, "x")))),
       Fault::unsupported},
      {"array of kind 13", with_pair(pair_bytes("k", kArray, array_bytes(13, 1, "x"))), Fault::corrupt},
      {"array of 2^61 numbers of 8 bytes", with_pair(pair_bytes("k", kArray, array_bytes(kU64, 1ULL << 61, ""))),
       Fault::limit_exceeded},
      {"array of 2^24 + 1 elements", with_pair(pair_bytes("k", kArray, array_bytes(kU8, (1U << 24) + 1, ""))),
       Fault::limit_exceeded},
      {"array of 2^24 strings that are not there",
       with_pair(pair_bytes("k", kArray, array_bytes(kString, 1U << 24, ""))), Fault::corrupt},
      {"alignment 0", with_pair(u32_pair("general.alignment", 0)), Fault::corrupt},
      {"alignment 48", with_pair(u32_pair("general.alignment", 48)), Fault::corrupt},
      {"alignment of 2 MiB", with_pair(u32_pair("general.alignment", 1U << 21)), Fault::corrupt},
      {"alignment of 2^31", with_pair(u32_pair("general.alignment", 1U << 31)), Fault::corrupt},
      {"alignment as u64", with_pair(pair_bytes("general.alignment", kU64, number_bytes<std::uint64_t>(32))),
       Fault::corrupt},
      {"alignment as text", with_pair(pair_bytes("general.alignment", kString, string_bytes("32"))), Fault::corrupt},
      {"part of a split model", with_pair(pair_bytes("split.count", kU16, number_bytes<std::uint16_t>(3))),
       Fault::unsupported},
      {"split count as text", with_pair(pair_bytes("split.count", kString, string_bytes("3"))), Fault::corrupt},
      {"empty tensor name", with_tensors({tensor_bytes("", {1}, 0, 0)}, 32), Fault::corrupt},
      {"tensor name of 64 bytes", with_tensors({tensor_bytes(std::string(64, 'n'), {1}, 0, 0)}, 32),
       Fault::limit_exceeded},
      {"tensor name with an escape sequence", with_tensors({tensor_bytes("\x1b[2J", {1}, 0, 0)}, 32), Fault::corrupt},
      {"tensor name that is not UTF-8", with_tensors({tensor_bytes("\xFF", {1}, 0, 0)}, 32), Fault::corrupt},
      {"rank 0", with_tensors({tensor_bytes("a", {}, 0, 0)}, 32), Fault::corrupt},
      {"rank 5", with_tensors({tensor_bytes("a", {1, 1, 1, 1, 1}, 0, 0)}, 32), Fault::limit_exceeded},
      {"rank 2^32 - 1", with_tensors({string_bytes("a") + number_bytes(0xFFFFFFFFU)}, 32), Fault::limit_exceeded},
      {"dimension of 2^63", with_tensors({tensor_bytes("a", {1ULL << 63}, 0, 0)}, 32), Fault::corrupt},
      {"elements wrap", with_tensors({tensor_bytes("a", {1ULL << 32, 1ULL << 32}, 0, 0)}, 32), Fault::corrupt},
      {"bytes wrap to 0", with_tensors({tensor_bytes("a", {1ULL << 62}, 0, 0)}, 32), Fault::corrupt},
      {"bytes of blocks wrap", with_tensors({tensor_bytes("a", {1ULL << 31, 1ULL << 31}, 28, 0)}, 32), Fault::corrupt},
      {"zero hides a product that wraps", with_tensors({tensor_bytes("a", {1ULL << 62, 4, 0}, 0, 0)}, 32),
       Fault::corrupt},
      {"row of 33 in blocks of 32", with_tensors({tensor_bytes("a", {33}, 2, 0)}, 64), Fault::corrupt},
      {"rows of 16 that make whole blocks together", with_tensors({tensor_bytes("a", {16, 2}, 2, 0)}, 64),
       Fault::corrupt},
      {"withdrawn type 4", with_tensors({tensor_bytes("a", {32}, 4, 0)}, 64), Fault::unsupported},
      {"withdrawn type 31", with_tensors({tensor_bytes("a", {32}, 31, 0)}, 64), Fault::unsupported},
      {"same name twice", with_tensors({tensor_bytes("a", {1}, 0, 0), tensor_bytes("a", {1}, 0, 32)}, 64),
       Fault::corrupt},
      {"first tensor not at 0", with_tensors({tensor_bytes("a", {1}, 0, 32)}, 64), Fault::corrupt},
      {"offset not aligned", with_tensors({tensor_bytes("a", {1}, 0, 0), tensor_bytes("b", {1}, 0, 4)}, 64),
       Fault::corrupt},
      {"hole", with_tensors({tensor_bytes("a", {1}, 0, 0), tensor_bytes("b", {1}, 0, 64)}, 96), Fault::corrupt},
      {"overlap", with_tensors({tensor_bytes("a", {16}, 0, 0), tensor_bytes("b", {1}, 0, 32)}, 96), Fault::corrupt},
      {"out of order", with_tensors({tensor_bytes("a", {1}, 0, 32), tensor_bytes("b", {1}, 0, 0)}, 64), Fault::corrupt},
      {"offset of 2^64 - 32", with_tensors({tensor_bytes("a", {1}, 0, huge - 31)}, 64), Fault::corrupt},
      {"data ends early", with_tensors({tensor_bytes("a", {16}, 0, 0)}, 63), Fault::corrupt},
      {"an exabyte in a small file", with_tensors({tensor_bytes("a", {1ULL << 58}, 0, 0)}, 64), Fault::corrupt},
      {"unknown type that goes backwards",
       with_tensors({tensor_bytes("a", {16}, 0, 0), tensor_bytes("b", {1}, 99, 64), tensor_bytes("c", {1}, 0, 32)}, 96),
       Fault::corrupt},
      {"unknown type followed by an odd offset",
       with_tensors({tensor_bytes("a", {1}, 99, 0), tensor_bytes("b", {1}, 0, 33)}, 96), Fault::corrupt},
      {"unknown type that ends after the file",
       with_tensors({tensor_bytes("a", {1}, 99, 0), tensor_bytes("b", {0}, 0, 1ULL << 40)}, 96), Fault::corrupt},
  };
  for (const Hostile& hostile : files) {
    const auto header = parse_gguf_header(as_bytes(hostile.file), "m");
    ASSERT_FALSE(header.ok()) << hostile.name;
    EXPECT_EQ(header.error().fault, hostile.fault) << hostile.name << ": " << to_string(header.error());
    EXPECT_EQ(header.error().file, "m") << hostile.name;
    EXPECT_TRUE(header.error().offset.has_value()) << hostile.name << ": " << to_string(header.error());
    EXPECT_LE(header.error().offset.value_or(0), hostile.file.size()) << hostile.name;
  }
}

TEST(GgufHostile, DuplicateKeysAreRefused) {
  GgufBuilder gguf;
  gguf.pairs = {u32_pair("k", 1), u32_pair("other", 1), u32_pair("k", 2)};
  const std::string file = gguf.build();
  const auto header = parse_gguf_header(as_bytes(file), "m");
  ASSERT_FALSE(header.ok());
  EXPECT_EQ(header.error().field, "k");
  EXPECT_EQ(header.error().offset, 24U + gguf.pairs[0].size() + gguf.pairs[1].size());
}

TEST(GgufHostile, ErrorsNameTheTensorAndTheKey) {
  const auto tensor = parse_gguf_header(as_bytes(with_tensors({tensor_bytes("blk.0.x", {33}, 2, 0)}, 64)), "m");
  EXPECT_EQ(tensor.error().tensor, "blk.0.x");
  EXPECT_EQ(tensor.error().expected, "a multiple of 32 for Q4_0");
  EXPECT_EQ(tensor.error().found, "33");
  const auto key = parse_gguf_header(as_bytes(with_pair(pair_bytes("tokenizer.x", kString, number_bytes(~0ULL)))), "m");
  EXPECT_EQ(key.error().field, "tokenizer.x");
  const auto split =
      parse_gguf_header(as_bytes(with_pair(pair_bytes("split.count", kU16, number_bytes<std::uint16_t>(3)))), "m");
  EXPECT_EQ(split.error().found, "3");
  EXPECT_FALSE(split.error().hint.empty());
}

}  // namespace
}  // namespace quernel::io
