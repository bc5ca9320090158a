#include "engine/crew.h"

#include <gtest/gtest.h>

namespace quernel::engine {
namespace {

// Runs passes that take what `seconds` says of the size; returns the share of passes by the full crew.
template <class Seconds>
double share_of_full(Crew& crew, int most, int passes, const Seconds& seconds) {
  int full = 0;
  for (int i = 0; i < passes; ++i) {
    full += crew.size() == most ? 1 : 0;
    crew.ran(seconds(crew.size()), 1e6);
  }
  return static_cast<double>(full) / passes;
}

double quiet(int size) { return size == 2 ? 0.001 : 0.0017; }
double disturbed(int size) { return size == 2 ? 0.008 : 0.0018; }
double shared_memory(int size) { return size == 2 ? 0.0018 : 0.0025; }

TEST(Crew, StaysWholeWhereNothingDisturbs) {
  Crew crew(2);
  EXPECT_EQ(share_of_full(crew, 2, 10'000, quiet), 1.0);
}

TEST(Crew, ShrinksBesideABusyProcessAndComesBack) {
  Crew crew(2);
  share_of_full(crew, 2, 200, quiet);
  EXPECT_LT(share_of_full(crew, 2, 2'000, disturbed), 0.1);
  share_of_full(crew, 2, 1'000, quiet);  // at most half a second until it tries
  EXPECT_EQ(share_of_full(crew, 2, 1'000, quiet), 1.0);
}

// One pass in twenty is held up for as long as ten.
TEST(Crew, SinglePassesThatAreHeldUpChangeNothing) {
  Crew crew(2);
  for (int i = 0; i < 5'000; ++i) {
    EXPECT_EQ(crew.size(), 2);
    crew.ran(i % 20 == 10 ? 0.01 : 0.001, 1e6);
  }
}

// Memory that others use slows all sizes.
TEST(Crew, StaysWholeWhereMemoryIsSlow) {
  Crew crew(2);
  share_of_full(crew, 2, 200, quiet);
  EXPECT_GT(share_of_full(crew, 2, 5'000, shared_memory), 0.9);
}

TEST(Crew, LongerContextsAreMoreWorkNotADisturbance) {
  Crew crew(4);
  for (int i = 1; i < 5'000; ++i) {
    EXPECT_EQ(crew.size(), 4);
    crew.ran(1e-3 * i, 1e6 * i);
  }
}

TEST(Crew, OneWorkerIsNeverNone) {
  Crew crew(1);
  share_of_full(crew, 1, 100, [](int) { return 0.001; });
  share_of_full(crew, 1, 100, [](int) { return 1.0; });
  EXPECT_EQ(crew.size(), 1);
}

}  // namespace
}  // namespace quernel::engine
