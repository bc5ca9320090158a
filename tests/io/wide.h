// 128-bit numbers for the judges of hostile files: sums and products of 64-bit numbers cannot wrap in them.
#pragma once

namespace quernel::test {

__extension__ typedef unsigned __int128 Wide;

}  // namespace quernel::test
