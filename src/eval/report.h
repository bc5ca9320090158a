// Results of measures as JSON (keys of the report's schema) and as text for terminals.
//
// Threads  pure functions
#pragma once

#include <span>
#include <string>

#include "base/json.h"
#include "eval/kld.h"
#include "eval/perplexity.h"
#include "eval/zero_shot.h"

namespace quernel::eval {

// {"ppl", "stderr", "tokens", "windows", "ctx", "convention", "nll", "text_tokens", "seconds"}
Json to_json(const PerplexityResult& result);
// {"kld": {"mean", "se", "median", "p90", "p99", "p999", "max"}, "top1", "top1_se", "dp_mean", "dp_rms", "ppl",
// "stderr",
//  "ppl_ref", "stderr_ref", "tokens", "windows", "ctx", "text_tokens", "cache": {"used", "step_max"}, "seconds"}
Json to_json(const KldResult& result);
// {"tasks": {name: {"acc", "acc_se", "acc_norm", "acc_norm_se", "gold_nll", "gold_nll_se", "n", "cut", "seconds"}},
//  "average", "average_of", "seconds"}; lambada has "ppl" in place of acc_norm. Names differ, at least one result.
Json to_json(std::span<const TaskResult> results);

std::string to_table(const PerplexityResult& result);
std::string to_table(const KldResult& result);
std::string to_table(std::span<const TaskResult> results);

}  // namespace quernel::eval
