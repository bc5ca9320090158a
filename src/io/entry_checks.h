// Checks of tensor names and shapes that all containers share.
//
// Threads  pure functions
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "tensor/tensor_view.h"

namespace quernel::io {

// True for a tensor name that both our readers and our writer accept: 1 to kMaxTensorNameBytes bytes of UTF-8 without
// control characters.
bool is_tensor_name(std::string_view name);

// Elements of a shape; nothing where the product does not fit 63 bits even with zeros taken as ones, so that no partial
// product can wrap later.
std::optional<std::uint64_t> checked_num_elements(const Shape& shape);

}  // namespace quernel::io
