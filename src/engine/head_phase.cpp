#include "engine/head_phase.h"

#include <algorithm>
#include <vector>

#include "kernels/packed/packed.h"
#include "kernels/rowwise/table.h"

namespace quernel::engine {

using kernels::packed::kPanelOutputs;
using kernels::rowwise::functions;

HeadPhase::HeadPhase(const PassModel& model, PassTeam& team, PassRows& rows, int num_workers, std::int64_t max_tokens,
                     std::size_t product)
    : model_(model),
      team_(team),
      rows_(rows),
      product_(product),
      own_logits_(num_workers, max_tokens * kPanelsPerTask * kPanelOutputs) {}

// What the head reads.
void HeadPhase::enter(int worker, ConstMatrixView hidden) {
  const model::ModelConfig& config = *model_.config;
  const SiteCodes kind{.two_parts = true, .sum_inputs = model_.weights->head.weight.view().group_size, .orders = {}};
  team_.start_profile(worker);
  rows_.start_codes(worker, config.hidden_size, kind);
  for (auto [r, end] = team_.row_slice(worker); r < end; ++r) {
    float* normed = rows_.of(worker).normed.row(r).data();
    functions().rms_norm(hidden.row(r).data(), model_.weights->final_norm.data(),
                         static_cast<float>(config.rms_norm_eps), normed, config.hidden_size);
    rows_.put_codes(worker, kind, r, normed);
  }
  team_.meet_after_rows();
}

// Scale and soft cap.
void HeadPhase::finish(std::span<float> logits) const {
  const model::ModelConfig& config = *model_.config;
  if (config.logit_scale != 1.0)
    for (float& value : logits) value *= static_cast<float>(config.logit_scale);
  if (config.logit_softcap > 0.0)
    functions().soft_cap(logits.data(), static_cast<float>(config.logit_softcap),
                         static_cast<std::int64_t>(logits.size()));
}

void HeadPhase::logits(sys::ThreadPool& pool, ConstMatrixView hidden, MatrixView out) {
  team_.gather(hidden.rows);
  pool.run_on(team_.num_workers(), [&](int worker) {
    enter(worker, hidden);
    const Product product{&model_.weights->head, &rows_.of(worker).codes, out.data, out.stride};
    team_.multiply(worker, {&product, 1}, product_);
    for (auto [r, end] = team_.slice(hidden.rows, worker); r < end; ++r) finish(out.row(r));
    team_.end_phase(worker, Phase::logits);
  });
}

// Logits of some panels, a few at a time, in memory of this worker; they leave what is best.
void HeadPhase::rank_panels(int worker, std::int64_t first, std::int64_t end, std::span<runtime::TopTokens> best) {
  constexpr std::int64_t kStride = kPanelsPerTask * kPanelOutputs;
  const PackedLinear& head = model_.weights->head;
  const std::span<float> values = own_logits_.row(worker);
  for (std::int64_t panel = first; panel < end; panel += kPanelsPerTask) {
    const std::int64_t output = panel * kPanelOutputs;
    const std::int64_t last = std::min(end, panel + kPanelsPerTask);
    const std::int64_t count = std::min(head.rows(), last * kPanelOutputs) - output;
    const Product product{&head, &rows_.of(worker).codes, values.data() - output, kStride};
    run_products({&product, 1}, panel, last, team_.scratch(worker));
    for (std::size_t r = 0; r < best.size(); ++r) {
      const std::span<float> of_row = values.subspan(r * kStride, static_cast<std::size_t>(count));
      finish(of_row);
      best[r].offer(of_row, output);
    }
  }
}

void HeadPhase::top_tokens(sys::ThreadPool& pool, ConstMatrixView hidden, std::int64_t most,
                           std::span<runtime::TopTokens> out) {
  team_.gather(hidden.rows);
  const auto rows = static_cast<std::size_t>(hidden.rows);
  // Of each worker, row by row; panels come in rising order, so that of equals the lower id is met first.
  std::vector<runtime::TopTokens> found(rows * static_cast<std::size_t>(team_.num_workers()));
  pool.run_on(team_.num_workers(), [&](int worker) {
    enter(worker, hidden);
    const std::span<runtime::TopTokens> own = std::span(found).subspan(static_cast<std::size_t>(worker) * rows, rows);
    for (runtime::TopTokens& of_row : own) of_row.begin(static_cast<std::size_t>(most));
    team_.for_panels(worker, model_.weights->head.weight.view().panels(), product_,
                     [&](std::int64_t first, std::int64_t end) { rank_panels(worker, first, end, own); });
    for (auto [r, end] = team_.slice(hidden.rows, worker); r < end; ++r) {
      runtime::TopTokens& best = out[static_cast<std::size_t>(r)];
      best.begin(static_cast<std::size_t>(most));
      for (std::size_t i = static_cast<std::size_t>(r); i < found.size(); i += rows)
        for (const runtime::TopToken& token : found[i].best()) best.offer(token);
    }
    team_.end_phase(worker, Phase::logits);
  });
}

}  // namespace quernel::engine
