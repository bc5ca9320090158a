#include "text/unicode_classes.h"

#include <utf8proc.h>

#include <algorithm>
#include <map>

namespace quernel::text {
namespace {

struct Range {
  std::uint32_t first;
  std::uint32_t last;
  CharKinds kinds;
};

constexpr Range kAdditions[] = {
#include "text/unicode_additions.inc"
};

constexpr Range kSpaces[] = {{0x9, 0xD, 0},       {0x20, 0x20, 0},     {0x85, 0x85, 0},     {0xA0, 0xA0, 0},
                             {0x1680, 0x1680, 0}, {0x2000, 0x200A, 0}, {0x2028, 0x2029, 0}, {0x202F, 0x202F, 0},
                             {0x205F, 0x205F, 0}, {0x3000, 0x3000, 0}};

// Word characters beyond letters, marks and decimal digits: letter numbers, connectors and joiners are found by
// category or listed here; circled and squared letters are alphabetic symbols.
constexpr Range kWordSymbols[] = {
    {0x200C, 0x200D, 0}, {0x24B6, 0x24E9, 0}, {0x1F130, 0x1F149, 0}, {0x1F150, 0x1F169, 0}, {0x1F170, 0x1F189, 0}};

// Blocks of common scripts in which no character changes under NFC, none has a combining class, and none composes with
// what stands before it (the test walks all of them).
constexpr Range kStable[] = {{0x0, 0x2FF, 0},     {0x400, 0x482, 0},   {0x48A, 0x52F, 0},    {0x531, 0x556, 0},
                             {0x561, 0x587, 0},   {0x5D0, 0x5EA, 0},   {0x620, 0x64A, 0},    {0xE01, 0xE30, 0},
                             {0x1E00, 0x1EFF, 0}, {0x2010, 0x2027, 0}, {0x2030, 0x205E, 0},  {0x20A0, 0x20C0, 0},
                             {0x2190, 0x22FF, 0}, {0x2460, 0x27BF, 0}, {0x3000, 0x3029, 0},  {0x3041, 0x3096, 0},
                             {0x30A1, 0x30FA, 0}, {0x30FC, 0x30FE, 0}, {0x3400, 0x4DBF, 0},  {0x4E00, 0x9FFF, 0},
                             {0xAC00, 0xD7A3, 0}, {0xFF01, 0xFF60, 0}, {0x1F300, 0x1FAFF, 0}};

CharKinds kinds_of_category(std::uint32_t code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU: return kUpper | kWord;
    case UTF8PROC_CATEGORY_LL: return kLower | kWord;
    case UTF8PROC_CATEGORY_LT: return kTitle | kWord;
    case UTF8PROC_CATEGORY_LM: return kModifier | kWord;
    case UTF8PROC_CATEGORY_LO: return kOtherLetter | kWord;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return kMark | kWord;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL: return kNumber | kNumeric | kWord;
    case UTF8PROC_CATEGORY_NO: return kNumber | kNumeric;
    case UTF8PROC_CATEGORY_PC: return kPunctuation | kWord;
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: return kPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO: return kSymbol;
    default: return 0;
  }
}

}  // namespace

const CharTable& CharTable::get() {
  static const CharTable table;
  return table;
}

CharTable::CharTable() {
  std::vector<CharKinds> all(0x110000);
  for (std::uint32_t code = 0; code < all.size(); ++code) all[code] = kinds_of_category(code);
  const auto add = [&all](const Range& range, CharKinds kinds) {
    for (std::uint32_t code = range.first; code <= range.last; ++code) {
      all[code] = static_cast<CharKinds>(all[code] | kinds);
    }
  };
  for (const Range& range : kAdditions) {
    const bool word = (range.kinds & (kLetter | kMark)) != 0;
    add(range, static_cast<CharKinds>(range.kinds | (word ? kWord : 0)));
  }
  for (const Range& range : kSpaces) add(range, kSpace);
  for (const Range& range : kWordSymbols) add(range, kWord);
  for (const Range& range : kStable) add(range, kNfcStable);
  all['\r'] = static_cast<CharKinds>(all['\r'] | kNewline);
  all['\n'] = static_cast<CharKinds>(all['\n'] | kNewline);

  constexpr std::size_t kBlock = kMask + 1;
  std::map<std::vector<CharKinds>, std::uint32_t> known;
  for (std::size_t block = 0; block < index_.size(); ++block) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(block * kBlock);
    std::vector<CharKinds> content(begin, begin + kBlock);
    const auto [place, fresh] = known.try_emplace(std::move(content), static_cast<std::uint32_t>(blocks_.size()));
    if (fresh) blocks_.insert(blocks_.end(), place->first.begin(), place->first.end());
    index_[block] = place->second;
  }
}

}  // namespace quernel::text
