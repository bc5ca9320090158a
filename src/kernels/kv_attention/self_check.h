// Whether a variant follows the reference on this machine: pages of every kind, tails of heads, queries whose sight ends inside a page, a window.
// Codes must have the same bits, attention may differ by the bound of kv_attention.h.
#pragma once

#include "kernels/kv_attention/table.h"

namespace quernel::kernels::kv_attention {

bool follows_reference(const Variant& variant, const Variant& reference);

}  // namespace quernel::kernels::kv_attention
