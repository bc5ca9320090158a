// The result of `quernel bench`, for machines and for people.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "engine/kernel_choice.h"
#include "engine/machine_limits.h"
#include "engine/pass_profile.h"
#include "engine/speed.h"

namespace quernel::api {

struct BenchRow {
  engine::SpeedResult result;
  double bytes_per_step = 0.0;        // weights and cache read for one step of generation; 0 for prompts
  double ops_per_token = 0.0;         // multiplications and additions of products
  std::vector<double> phase_seconds;  // empty: not profiled
};

struct BenchReport {
  std::string model;
  std::string cpu;
  int threads = 0;
  int activation_bits = 0;
  int kv_bits = 8;
  double weight_megabytes = 0.0;
  double load_seconds = 0.0;
  double resident_megabytes = 0.0;
  engine::MachineLimits limits;
  engine::Kernels kernels;
  std::vector<BenchRow> rows;
};

Json to_json(const BenchReport& report);
std::string to_table(const BenchReport& report);
// A line a test, columns as the keys of the JSON rows, the machine and the model in each.
std::string to_csv(const BenchReport& report);

}  // namespace quernel::api
