// The options of one transform, for its registry row.
#pragma once

#include <string>
#include <vector>

#include "transform/transform.h"

namespace quernel::transform {

std::vector<quant::MethodOption> options_of(const std::string& transform);

}  // namespace quernel::transform
