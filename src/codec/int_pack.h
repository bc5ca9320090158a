// Dense bitstreams of small unsigned codes in 32-bit words: the ground of every Hugging Face integer layout.
//
// Layout   code i occupies bits b*i .. b*i+b-1 of the stream, lowest bit first; bit t is bit t % 32 of word t / 32
//          2, 4 and 8 bits: 32/b codes a word; 3, 5, 6, 7 bits: 32 codes fill b words, codes cross word borders
// Units    bits 2 .. 8; codes one byte each, below 2^bits; unused bits of the last word are 0
// Exact    unpack(pack(x)) == x; the high bits of a code that is too large are dropped, neighbours stay whole
// Threads  pure functions
// Source   golden words in tests/codec/int_pack_test.cpp
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace quernel::codec {

// Words of a dense stream of `count` codes.
std::int64_t packed_words(std::int64_t count, int bits);

// words.size() == packed_words(codes.size(), bits).
void pack_bits(std::span<const std::uint8_t> codes, int bits, std::span<std::uint32_t> words);
void unpack_bits(std::span<const std::byte> words, int bits, std::span<std::uint8_t> codes);  // any alignment

// Matrices packed along their columns: codes [rows, cols] <-> words [rows, packed_words(cols)].
std::vector<std::uint32_t> pack_rows(std::span<const std::uint8_t> codes, std::int64_t rows, std::int64_t cols,
                                     int bits);
void unpack_rows(std::span<const std::byte> words, std::int64_t rows, std::int64_t cols, int bits,
                 std::span<std::uint8_t> codes);

// The same streams stored word by word down a column: codes [rows, cols] <-> words [packed_words(cols), rows].
std::vector<std::uint32_t> pack_rows_transposed(std::span<const std::uint8_t> codes, std::int64_t rows,
                                                std::int64_t cols, int bits);
void unpack_rows_transposed(std::span<const std::byte> words, std::int64_t rows, std::int64_t cols, int bits,
                            std::span<std::uint8_t> codes);

// The older order with 32 / bits (rounded down) codes a word and the top bits unused; equal to the dense one for 2, 4,
// 8 bits.
std::int64_t padded_words(std::int64_t count, int bits);
void unpack_padded(std::span<const std::byte> words, int bits, std::span<std::uint8_t> codes);

// out [cols, rows] of codes [rows, cols].
std::vector<std::uint8_t> transpose_codes(std::span<const std::uint8_t> codes, std::int64_t rows, std::int64_t cols);

}  // namespace quernel::codec
