// Results of measures as JSON (keys of the report's schema) and as text for terminals.
//
// Threads  pure functions
#pragma once

#include <string>

#include "base/json.h"
#include "eval/kld.h"
#include "eval/perplexity.h"

namespace quernel::eval {

// {"ppl", "stderr", "tokens", "windows", "ctx", "convention", "nll", "text_tokens", "seconds"}
Json to_json(const PerplexityResult& result);
// {"kld": {"mean", "se", "median", "p90", "p99", "p999", "max"}, "top1", "top1_se", "dp_mean", "dp_rms", "ppl",
// "stderr",
//  "ppl_ref", "stderr_ref", "tokens", "windows", "ctx", "text_tokens", "cache": {"used", "step_max"}, "seconds"}
Json to_json(const KldResult& result);

std::string to_table(const PerplexityResult& result);
std::string to_table(const KldResult& result);

}  // namespace quernel::eval
