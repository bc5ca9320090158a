#include "engine/pass_rows.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace quernel::engine {
namespace {

bool has_order(const std::vector<Layer>& layers) {
  return std::any_of(layers.begin(), layers.end(), [](const Layer& layer) {
    return std::any_of(layer.linears.begin(), layer.linears.end(), [](const auto& l) { return !l.order.empty(); });
  });
}

Result<Rows> make_rows(MatrixView hidden, MatrixView normed, std::int64_t width, bool any_order) {
  Rows rows{hidden, normed, {}, {}};
  QUERNEL_TRY(rows.codes, RowCodes::make(hidden.rows, width));
  for (std::size_t i = 0; any_order && i < kMaxSiteModules; ++i) {
    QUERNEL_TRY(RowCodes ordered, RowCodes::make(hidden.rows, width));
    rows.ordered.push_back(std::move(ordered));
  }
  return rows;
}

}  // namespace

SiteCodes codes_of(const Layer& layer, model::Site site, const EngineOptions& options) {
  SiteCodes kind{.two_parts = options.activation_bits == 16};
  std::size_t place = 0;
  for (std::size_t i = 0; i < layer.modules.size(); ++i) {
    if (layer.modules[i].site != site) continue;
    const PackedLinear& linear = layer.linears[i];
    kind.orders[place++] = linear.order.empty() ? nullptr : &linear.order;
    kind.two_parts |= linear.is_dense;
    kind.two_parts |= options.activation_bits == 0 && !linear.is_made_for_int8();
    kind.sum_inputs = std::gcd(kind.sum_inputs, linear.weight.view().group_size);
  }
  return kind;
}

Result<PassRows> PassRows::make(const PassModel& model, PassTeam& team, int num_workers, std::int64_t max_tokens) {
  const model::ModelConfig& config = *model.config;
  const std::int64_t width = std::max({config.hidden_size, config.q_size(), config.intermediate_size});
  const bool any_order = has_order(model.weights->layers);
  PassRows made;
  made.team_ = &team;
  made.shared_hidden_ = Matrix(max_tokens, config.hidden_size);
  made.shared_normed_ = Matrix(max_tokens, config.hidden_size);
  made.own_hidden_ = Matrix(num_workers, config.hidden_size);
  made.own_normed_ = Matrix(num_workers, config.hidden_size);
  QUERNEL_TRY(made.shared_, make_rows(made.shared_hidden_.view(), made.shared_normed_.view(), width, any_order));
  for (int w = 0; w < num_workers; ++w) {
    QUERNEL_TRY(Rows own, make_rows(made.own_hidden_.view().row_block(w, 1), made.own_normed_.view().row_block(w, 1),
                                    width, any_order));
    made.own_.push_back(std::move(own));
  }
  return made;
}

// A worker that has codes of its own begins them; shared ones are begun by the first before any row is put.
void PassRows::start_codes(int worker, std::int64_t width, const SiteCodes& kind) {
  if (team_->is_redundant() || worker == 0) {
    Rows& rows = of(worker);
    rows.codes.begin(team_->num_tokens(), width, kind.two_parts, kind.sum_inputs);
    for (RowCodes& ordered : rows.ordered) ordered.begin(team_->num_tokens(), width, kind.two_parts, kind.sum_inputs);
  }
  team_->meet_after_rows();
}

void PassRows::put_codes(int worker, const SiteCodes& kind, std::int64_t token, const float* x) {
  Rows& rows = of(worker);
  rows.codes.put(token, x);
  for (std::size_t i = 0; i < kMaxSiteModules; ++i)
    if (kind.orders[i] != nullptr) rows.ordered[i].put_ordered(token, rows.codes, *kind.orders[i]);
}

}  // namespace quernel::engine
