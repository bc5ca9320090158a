// One row a transform. The command line, the report and the pipeline read these rows; nothing else is edited for a new one.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/nearest.h"
#include "transform/options.h"
#include "transform/rows.h"

namespace quernel::transform {
namespace {

std::vector<Transform> make_transforms() {
  std::vector<Transform> rows;
  rows.push_back({.name = "smoothquant",
                  .summary = "Moves part of the range of large activations into the weights, channel by channel",
                  .source = "Xiao et al., SmoothQuant, ICML 2023",
                  .after = {},
                  .options = options_of("smoothquant"),
                  .check = check_smoothquant,
                  .find_scales = find_smoothquant_scales});
  rows.push_back({.name = "awq",
                  .summary = "Scales up the weights of channels with large inputs, by the least error on calibration",
                  .source = "Lin et al., AWQ, MLSys 2024",
                  .after = {},
                  .options = options_of("awq"),
                  .check = check_awq,
                  .find_scales = find_awq_scales});
  rows.push_back({.name = "reorder",
                  .summary = "Sorts the inner channels of the MLP by size, so that groups of down meet alike inputs",
                  .source = "Lin et al., QServe, arXiv 2405.04532",
                  .after = {},
                  .options = {},
                  .check = check_reorder,
                  .find_scales = find_reorder});
  rows.push_back({.name = "quarot",
                  .summary = "Rotates the residual stream and the values of each head by Hadamard matrices",
                  .source = "Ashkboos et al., QuaRot, NeurIPS 2024",
                  .after = {"smoothquant", "reorder"},
                  .options = options_of("quarot"),
                  .check = check_rotation,
                  .make_change = make_rotation});
  return rows;
}

}  // namespace

std::span<const Transform> transforms() {
  static const std::vector<Transform> kTransforms = make_transforms();
  return kTransforms;
}

Result<const Transform*> find_transform(const std::string& name) {
  for (const Transform& transform : transforms())
    if (transform.name == name) return &transform;
  const std::vector<std::string> known = preprocess_choices();
  Error error = Error(Fault::unsupported, "no such preprocessing")
                    .in_field("--preprocess")
                    .expect(fmt::format("{}", fmt::join(known, ", ")), name);
  const std::string nearest = nearest_word(known, name);
  if (!nearest.empty()) return std::move(error).with_hint(fmt::format("did you mean {}?", nearest));
  return error;
}

std::vector<std::string> preprocess_choices() {
  std::vector<std::string> choices{"none"};
  for (const Transform& transform : transforms()) choices.push_back(transform.name);
  for (const Transform& transform : transforms())
    for (const std::string& first : transform.after) choices.push_back(first + "+" + transform.name);
  return choices;
}

Result<std::vector<std::string>> parse_preprocess(const std::string& text) {
  if (text == "none") return std::vector<std::string>{};
  std::vector<std::string> chain;
  for (std::size_t first = 0; first <= text.size();) {
    const std::size_t end = std::min(text.find('+', first), text.size());
    QUERNEL_TRY(const Transform* transform, find_transform(text.substr(first, end - first)));
    if (!chain.empty() &&
        std::find(transform->after.begin(), transform->after.end(), chain.back()) == transform->after.end())
      return Error(Fault::unsupported, fmt::format("{} cannot follow {}", transform->name, chain.back()))
          .in_field("--preprocess")
          .expect(fmt::format("{}", fmt::join(preprocess_choices(), ", ")), text);
    chain.push_back(transform->name);
    first = end + 1;
  }
  return chain;
}

std::string to_string(const std::vector<std::string>& chain) {
  return chain.empty() ? "none" : fmt::format("{}", fmt::join(chain, "+"));
}

bool needs_runtime(const TransformSpec& spec) {
  const bool rotates = std::find(spec.chain.begin(), spec.chain.end(), "quarot") != spec.chain.end();
  return rotates && (spec.quarot_qk || spec.quarot_down);
}

// Factors and orders that are searched site by site are those of pairs.h, which never span two blocks.
bool keeps_stream(const std::vector<std::string>& chain) {
  return std::all_of(chain.begin(), chain.end(), [](const std::string& name) {
    const auto row = find_transform(name);
    return row.ok() && (*row)->needs_statistics();
  });
}

Status check_chain(const TransformSpec& spec, const model::ModelConfig& config) {
  for (const std::string& name : spec.chain) {
    QUERNEL_TRY(const Transform* transform, find_transform(name));
    QUERNEL_TRY_STATUS(transform->check(config, spec));
  }
  return {};
}

}  // namespace quernel::transform
