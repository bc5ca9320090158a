// The table of a comparison for people (markdown) and for plots (CSV), from its JSON.
//
// Threads  pure functions
#pragma once

#include <string>

#include "base/json.h"

namespace quernel::api {

std::string compare_markdown(const Json& table);
std::string compare_csv(const Json& table);

}  // namespace quernel::api
