#include "serve/text_stop.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace quernel::serve {
namespace {

TEST(TextStop, HoldsBackWhatMayBeginAStop) {
  TextStop stop({"END", "\n\n"});
  EXPECT_EQ(stop.push("one E"), "one ");
  EXPECT_EQ(stop.push("N"), "");
  EXPECT_EQ(stop.push("ough\n"), "ENough");
  EXPECT_EQ(stop.push("two EN"), "\ntwo ");
  EXPECT_FALSE(stop.stopped());
  EXPECT_EQ(stop.push("D three"), "");
  EXPECT_TRUE(stop.stopped());
  EXPECT_EQ(stop.push("four"), "");
  EXPECT_EQ(stop.finish(), "");
}

TEST(TextStop, GivesBackWhatWasNoStop) {
  TextStop stop({"abc"});
  EXPECT_EQ(stop.push("xab"), "x");
  EXPECT_EQ(stop.finish(), "ab");
  EXPECT_FALSE(stop.stopped());
  TextStop none({});
  EXPECT_EQ(none.push("abc"), "abc");
}

// Character by character, the first stop that is complete ends the text, however it is cut into pieces.
TEST(TextStop, PiecesDoNotMatter) {
  CounterRng rng(1, "stops");
  int stopped = 0;
  for (int trial = 0; trial < 500; ++trial) {
    const auto draw = [&](std::uint64_t least, std::uint64_t most) {
      std::string out(least + rng.below(most - least + 1), 'a');
      for (char& c : out) c = static_cast<char>('a' + rng.below(2));
      return out;
    };
    std::vector<std::string> stops;
    for (std::uint64_t i = 1 + rng.below(3); i > 0; --i) stops.push_back(draw(2, 6));
    const std::string text = draw(0, 25);
    std::string expected = text;
    for (std::size_t end = 0; end <= text.size() && expected == text; ++end)
      for (const std::string& stop : stops) {
        const std::string so_far = text.substr(0, end);
        if (so_far.ends_with(stop) && end - stop.size() < expected.size())
          expected = so_far.substr(0, end - stop.size());
      }
    TextStop one(stops);
    std::string shown = one.push(text);
    EXPECT_EQ(shown + one.finish(), expected);
    TextStop many(stops);
    shown.clear();
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + rng.below(4);
      shown += many.push(std::string_view(text).substr(at, size));
      EXPECT_TRUE(expected.starts_with(shown)) << "shown too early";
      at += size;
    }
    EXPECT_EQ(shown + many.finish(), expected);
    stopped += many.stopped() ? 1 : 0;
  }
  EXPECT_GT(stopped, 100);
  EXPECT_LT(stopped, 490);
}

}  // namespace
}  // namespace quernel::serve
