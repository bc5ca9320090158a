// How fast a model runs: the cases of `quernel bench`.
//
// Case     prompt > 0: a prompt of so many tokens is read after `depth` others. generate > 0: so many tokens are made one by one, by `batch`
//          sequences at once, each with `depth` tokens in its cache; every step computes the logits, as a server would need them
// Units    seconds of one repeat each; a first repeat warms up and is not counted
// Errors   those of forward()
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/int_model.h"

namespace quernel::engine {

struct SpeedCase {
  std::int64_t prompt = 0;
  std::int64_t generate = 0;
  std::int64_t depth = 0;
  std::int64_t batch = 1;
};

struct SpeedResult {
  SpeedCase what;
  std::vector<double> seconds;
  std::int64_t tokens = 0;  // a repeat, all sequences together
};

// profile: where the time of the counted repeats goes, and of nothing else; may be null.
Result<SpeedResult> measure_speed(IntModel& model, const SpeedCase& what, int repeats, PassProfile* profile = nullptr);

}  // namespace quernel::engine
