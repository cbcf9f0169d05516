// Bodies by instruction set, as in gap_codec_cpu.cpp. The length of a packed tile is known before anything is written
// (or read): a whole vector is stored (loaded) wherever it ends within the tile, and what it holds too much is written
// over by the rows that follow.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "kernels/base/error.hpp"
#include "kernels/bitmap_codec.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // inside the AVX-512 intrinsics themselves: GCC bug 105593
#endif

namespace strata::cpu {
namespace {

constexpr std::size_t kValueBytes = sizeof(std::uint16_t);

// One tile; `kept` is where its values lie in the packed form, and `end` where they end.
struct Packing {
  const std::uint16_t* values;
  std::size_t rows, width;
  std::byte* masks;
  std::byte* kept;
  std::byte* end;
};
struct Unpacking {
  const std::byte* masks;
  const std::byte* kept;
  const std::byte* end;
  std::size_t rows, width;
  std::uint16_t* values;
};

std::uint32_t load_mask(const std::byte* masks, std::size_t row) {
  std::uint32_t mask = 0;
  std::memcpy(&mask, masks + row * sizeof mask, sizeof mask);
  return mask;
}

std::size_t count_scalar(std::span<const std::uint16_t> values) {
  std::size_t kept = 0;
  for (const std::uint16_t value : values) kept += value != 0 ? 1 : 0;
  return kept;
}

void pack_scalar(Packing at) {
  std::array<std::uint16_t, kPanelColumns + 1> row{};  // one more: a value is written before it is known to be kept
  for (std::size_t r = 0; r < at.rows; ++r, at.values += at.width) {
    std::uint32_t mask = 0;
    std::size_t kept = 0;
    for (std::size_t c = 0; c < at.width; ++c) {
      const std::uint32_t bit = at.values[c] != 0 ? 1 : 0;
      row[kept] = at.values[c];
      kept += bit;
      mask |= bit << c;
    }
    std::memcpy(at.masks + r * sizeof mask, &mask, sizeof mask);
    std::memcpy(at.kept, row.data(), kept * kValueBytes);
    at.kept += kept * kValueBytes;
  }
}

void unpack_scalar(Unpacking at) {
  for (std::size_t r = 0; r < at.rows; ++r, at.values += at.width) {
    std::fill_n(at.values, at.width, std::uint16_t{0});
    for (std::uint32_t mask = load_mask(at.masks, r); mask != 0; mask &= mask - 1, at.kept += kValueBytes) {
      std::memcpy(at.values + std::countr_zero(mask), at.kept, kValueBytes);
    }
  }
}

#if defined(__x86_64__)

#define STRATA_TARGET_AVX512 [[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]]

constexpr std::ptrdiff_t kVectorBytes = 64;
constexpr std::size_t kVectorValues = 32;
static_assert(kPanelColumns == kVectorValues);

STRATA_TARGET_AVX512 std::size_t count_avx512(std::span<const std::uint16_t> values) {
  std::size_t kept = 0, i = 0;
  for (; i + kVectorValues <= values.size(); i += kVectorValues) {
    const __m512i v = _mm512_loadu_si512(values.data() + i);
    kept += static_cast<std::size_t>(_mm_popcnt_u32(_mm512_test_epi16_mask(v, v)));
  }
  return kept + count_scalar(values.subspan(i));
}

STRATA_TARGET_AVX512 void pack_avx512(Packing at) {
  const std::uint32_t columns = _bzhi_u32(~0u, static_cast<unsigned>(at.width));
  for (std::size_t r = 0; r < at.rows; ++r, at.values += at.width) {
    const __m512i row = _mm512_maskz_loadu_epi16(columns, at.values);
    const std::uint32_t mask = _mm512_test_epi16_mask(row, row);
    const auto kept = static_cast<unsigned>(_mm_popcnt_u32(mask));
    std::memcpy(at.masks + r * sizeof mask, &mask, sizeof mask);
    const __m512i values = _mm512_maskz_compress_epi16(mask, row);
    if (at.end - at.kept >= kVectorBytes) {
      _mm512_storeu_si512(at.kept, values);
    } else {
      _mm512_mask_storeu_epi16(at.kept, _bzhi_u32(~0u, kept), values);
    }
    at.kept += kept * kValueBytes;
  }
}

STRATA_TARGET_AVX512 void unpack_avx512(Unpacking at) {
  const std::uint32_t columns = _bzhi_u32(~0u, static_cast<unsigned>(at.width));
  for (std::size_t r = 0; r < at.rows; ++r, at.values += at.width) {
    const std::uint32_t mask = load_mask(at.masks, r);
    const auto kept = static_cast<unsigned>(_mm_popcnt_u32(mask));
    const __m512i values = at.end - at.kept >= kVectorBytes ? _mm512_loadu_si512(at.kept)
                                                            : _mm512_maskz_loadu_epi16(_bzhi_u32(~0u, kept), at.kept);
    _mm512_mask_storeu_epi16(at.values, columns, _mm512_maskz_expand_epi16(mask, values));
    at.kept += kept * kValueBytes;
  }
}

std::size_t count(std::span<const std::uint16_t> values, VectorLevel level) {
  return level == VectorLevel::avx512 ? count_avx512(values) : count_scalar(values);
}
void pack(const Packing& tile, VectorLevel level) {
  return level == VectorLevel::avx512 ? pack_avx512(tile) : pack_scalar(tile);
}
void unpack(const Unpacking& tile, VectorLevel level) {
  return level == VectorLevel::avx512 ? unpack_avx512(tile) : unpack_scalar(tile);
}

#else

std::size_t count(std::span<const std::uint16_t> values, VectorLevel) { return count_scalar(values); }
void pack(const Packing& tile, VectorLevel) { pack_scalar(tile); }
void unpack(const Unpacking& tile, VectorLevel) { unpack_scalar(tile); }

#endif

}  // namespace

std::size_t pack_bitmap(std::span<const std::uint16_t> values, std::size_t width, std::span<std::byte> packed,
                        VectorLevel level) {
  STRATA_ASSERT(level <= vector_level() && width > 0 && width <= kPanelColumns && values.size() % width == 0);
  const std::size_t rows = values.size() / width;
  const std::size_t bytes = bitmap_bytes(rows, count(values, level));
  if (bytes > packed.size()) return bytes;
  std::byte* const kept = packed.data() + bitmap_bytes(rows, 0);
  pack({values.data(), rows, width, packed.data(), kept, packed.data() + bytes}, level);
  return bytes;
}

bool unpack_bitmap(std::span<const std::byte> packed, std::size_t width, std::span<std::uint16_t> values,
                   VectorLevel level) {
  STRATA_ASSERT(level <= vector_level() && width > 0 && width <= kPanelColumns && values.size() % width == 0);
  const std::size_t rows = values.size() / width;
  const std::size_t mask_bytes = bitmap_bytes(rows, 0);
  if (packed.size() < mask_bytes) return false;
  std::uint32_t seen = 0;
  std::size_t kept = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::uint32_t mask = load_mask(packed.data(), r);
    seen |= mask;
    kept += static_cast<std::size_t>(std::popcount(mask));
  }
  if (std::uint64_t{seen} >> width != 0 || packed.size() < bitmap_bytes(rows, kept)) return false;
  unpack(
      {packed.data(), packed.data() + mask_bytes, packed.data() + bitmap_bytes(rows, kept), rows, width, values.data()},
      level);
  return true;
}

void pack_bitmap(const BitmapTiles& tiles, const std::uint16_t* values, std::byte* packed, std::uint32_t* bytes) {
  const std::size_t size = tiles.rows * tiles.width;
  for (std::size_t i = 0; i < tiles.count; ++i) {
    bytes[i] = static_cast<std::uint32_t>(
        pack_bitmap({values + i * size, size}, tiles.width, {packed + i * tiles.room, tiles.room}));
  }
}

void unpack_bitmap(const BitmapTiles& tiles, const std::byte* packed, std::uint16_t* values, std::uint8_t* good) {
  const std::size_t size = tiles.rows * tiles.width;
  for (std::size_t i = 0; i < tiles.count; ++i) {
    const bool whole = unpack_bitmap({packed + i * tiles.room, tiles.room}, tiles.width, {values + i * size, size});
    good[i] = whole ? 1 : 0;
  }
}

}  // namespace strata::cpu
