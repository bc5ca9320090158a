#include "calib/memory_plan.h"

#include <algorithm>

#include "model/modules.h"
#include "sys/memory.h"

namespace quernel::calib {

namespace {

constexpr std::uint64_t kFloat = sizeof(float);

std::uint64_t u64(std::int64_t value) { return static_cast<std::uint64_t>(value); }

// Activations of one chunk: normalised input, q k v, mixed output or gate and up, and one more of the widest for the
// runtime's own copies; the attention scores of one sequence and head on each side of a buffer.
std::uint64_t workspace_of(const model::ModelConfig& config, std::int64_t rows, std::int64_t length) {
  const std::int64_t attention = 2 * config.q_size() + 2 * config.kv_size();
  const std::int64_t widest = std::max(attention, 2 * config.intermediate_size);
  const std::int64_t output = std::max(config.q_size(), config.intermediate_size);
  return (u64(rows) * u64(2 * config.hidden_size + widest + 2 * output) + 2 * u64(length) * u64(length)) * kFloat;
}

std::uint64_t weights_of_layer(const model::ModelConfig& config) {
  std::uint64_t elements = 0;
  for (const model::LinearModule& module : model::linear_modules(config, 0))
    elements += u64(module.rows) * u64(module.cols);
  return elements * kFloat;
}

}  // namespace

std::int64_t sequences_per_chunk(std::int64_t length) {
  constexpr std::int64_t kChunkTokens = 2048;  // matrix products reach their full rate; activations stay near the cache
  return std::max<std::int64_t>(1, kChunkTokens / length);
}

std::uint64_t MemoryPlan::memory_bytes() const {
  return (spill ? 0 : hidden_bytes) + scratch_bytes + workspace_bytes + hessian_bytes + layer_bytes;
}

std::string to_string(const MemoryPlan& plan) {
  const char* way = plan.spill ? "spilled" : plan.recompute ? "recompute" : "in memory";
  return fmt::format(
      "{}: hidden states {}{}, stored outputs {}, workspace {}, Hessian {}, block weights {}: {} in memory", way,
      sys::format_bytes(plan.hidden_bytes), plan.spill ? " on disk" : "", sys::format_bytes(plan.scratch_bytes),
      sys::format_bytes(plan.workspace_bytes), sys::format_bytes(plan.hessian_bytes),
      sys::format_bytes(plan.layer_bytes), sys::format_bytes(plan.memory_bytes()));
}

Result<MemoryPlan> plan_memory(const model::ModelConfig& config, std::int64_t num_samples, std::int64_t length,
                               std::uint64_t available_bytes, const CalibrationKind& kind) {
  QUERNEL_CHECK(num_samples > 0 && length > 0, "{} samples of {}", num_samples, length);
  const std::int64_t chunk_rows = std::min(num_samples, sequences_per_chunk(length)) * length;
  const std::uint64_t tokens = u64(num_samples) * u64(length);
  std::int64_t widest_site = 0;
  for (const model::Site site : model::kSites) widest_site = std::max(widest_site, model::site_width(config, site));
  const std::int64_t stored_width =
      std::max(model::site_width(config, model::Site::attention_out), model::site_width(config, model::Site::mlp_out));

  MemoryPlan plan;
  const auto copies = static_cast<std::uint64_t>(kind.streams);
  plan.hidden_bytes = copies * tokens * u64(config.hidden_size) * kFloat;
  plan.scratch_bytes = tokens * u64(stored_width) * (kind.bf16_outputs ? kFloat / 2 : kFloat);  // of the first stream
  plan.workspace_bytes = workspace_of(config, chunk_rows, length);
  // Inputs of the second stream and their difference from the first, in the stream's width and a site's.
  if (kind.streams > 1)
    plan.workspace_bytes += u64(chunk_rows) * u64(2 * config.hidden_size + 2 * widest_site) * kFloat;
  plan.hessian_bytes = copies * u64(widest_site) * u64(widest_site) * kFloat;
  plan.layer_bytes = copies * weights_of_layer(config);
  const auto fits = [&] { return available_bytes == 0 || plan.memory_bytes() <= available_bytes; };
  if (fits()) return plan;
  plan.recompute = true;
  plan.scratch_bytes = 0;
  if (fits()) return plan;
  plan.spill = true;
  if (fits()) return plan;
  Error error(Fault::out_of_memory, "calibration does not fit the memory ceiling, even with hidden states on disk");
  return std::move(error)
      .expect(fmt::format("{} bytes ({})", plan.memory_bytes(), to_string(plan)),
              fmt::format("{} bytes free", available_bytes))
      .with_hint("raise --max-memory, or use shorter samples");
}

}  // namespace quernel::calib
