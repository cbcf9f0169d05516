// Bodies by instruction set, each a function compiled for its own target, whatever the build's -march. The length of
// the encoded list is checked against its control bytes before anything is decoded, so the loops only have to keep
// their wide loads inside. A block's prefix sum starts from zero and the total before it is added at the end: the
// chain from block to block is one addition.
#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/base/error.hpp"
#include "kernels/gap_codec.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // inside the AVX-512 intrinsics themselves: GCC bug 105593
#endif

namespace strata::cpu {
namespace {

// What is left of one list.
struct Cursor {
  const std::uint8_t* control;
  const std::uint8_t* data;
  const std::uint8_t* end;  // of data
  std::uint32_t* out;
  std::size_t count;
  std::uint32_t value;  // the last one decoded
};

template <class T>
T load(const std::uint8_t* from, std::size_t bytes = sizeof(T)) {
  T value = 0;
  std::memcpy(&value, from, bytes);
  return value;
}

// Sum of the codes of `count` values; the unused bits of the last byte count too.
std::size_t sum_of_codes(const std::uint8_t* control, std::size_t count) {
  const std::size_t bytes = gap_control_bytes(count);
  std::size_t sum = 0;
  for (std::size_t at = 0; at < bytes; at += 8) {
    const auto word = load<std::uint64_t>(control + at, std::min<std::size_t>(8, bytes - at));
    sum += static_cast<std::size_t>(std::popcount(word) + std::popcount(word & 0xAAAAAAAAAAAAAAAAu));
  }
  return sum;
}

bool is_encoded_list(std::span<const std::byte> encoded, std::size_t count) {
  const std::size_t control = gap_control_bytes(count);
  if (encoded.size() < control) return false;
  if (count % 4 != 0 && std::to_integer<unsigned>(encoded[control - 1]) >> (2 * (count % 4)) != 0) return false;
  const auto* codes = reinterpret_cast<const std::uint8_t*>(encoded.data());
  return encoded.size() - control == count + sum_of_codes(codes, count);
}

void decode_scalar(Cursor at) {
  constexpr std::array<std::uint32_t, 4> kMask = {0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF};
  for (std::size_t i = 0; i < at.count; ++i) {
    const unsigned code = (at.control[i / 4] >> (2 * (i % 4))) & 3u;
    const std::uint32_t written = at.end - at.data >= 4 ? load<std::uint32_t>(at.data) & kMask[code]
                                                        : load<std::uint32_t>(at.data, code + std::size_t{1});
    at.value += written - kGapBias[code];
    at.out[i] = at.value;
    at.data += code + 1;
  }
}

#if defined(__x86_64__)

#define STRATA_TARGET_SSSE3 [[gnu::target("ssse3")]]
#define STRATA_TARGET_AVX2 [[gnu::target("avx2")]]
#define STRATA_TARGET_AVX512 [[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]]

// By control byte: where the bytes of the four values lie (0x80: a zero), their biases, their length.
struct Tables {
  alignas(64) std::uint8_t shuffle[256][16];
  alignas(64) std::uint32_t bias[256][4];
  std::uint8_t length[256];
};

constexpr Tables make_tables() {
  Tables tables{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    std::uint8_t from = 0;
    for (std::size_t lane = 0; lane < 4; ++lane) {
      const std::size_t code = (byte >> (2 * lane)) & 3;
      for (std::size_t b = 0; b < 4; ++b) {
        tables.shuffle[byte][4 * lane + b] = b <= code ? from++ : std::uint8_t{0x80};
      }
      tables.bias[byte][lane] = kGapBias[code];
    }
    tables.length[byte] = from;
  }
  return tables;
}
constexpr Tables kTables = make_tables();

STRATA_TARGET_SSSE3 void decode_ssse3(Cursor at) {
  __m128i carry = _mm_setzero_si128();
  for (; at.count >= 4 && at.end - at.data >= 16; at.count -= 4, at.out += 4) {
    const std::uint8_t codes = *at.control++;
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at.data));
    const __m128i places = _mm_load_si128(reinterpret_cast<const __m128i*>(kTables.shuffle[codes]));
    const __m128i bias = _mm_load_si128(reinterpret_cast<const __m128i*>(kTables.bias[codes]));
    __m128i v = _mm_sub_epi32(_mm_shuffle_epi8(bytes, places), bias);
    v = _mm_add_epi32(v, _mm_slli_si128(v, 4));
    v = _mm_add_epi32(v, _mm_slli_si128(v, 8));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at.out), _mm_add_epi32(v, carry));
    carry = _mm_add_epi32(carry, _mm_shuffle_epi32(v, 0xFF));
    at.data += kTables.length[codes];
  }
  at.value = static_cast<std::uint32_t>(_mm_cvtsi128_si32(carry));
  decode_scalar(at);
}

STRATA_TARGET_AVX2 void decode_avx2(Cursor at) {
  const __m256i shifts = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
  const __m256 biases = _mm256_castsi256_ps(
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kGapBias.data()))));
  const __m256i last = _mm256_set1_epi32(7);
  __m256i carry = _mm256_setzero_si256();
  for (; at.count >= 8 && at.end - at.data >= 32; at.count -= 8, at.out += 8, at.control += 2) {
    const std::uint8_t first = at.control[0], second = at.control[1];
    const std::size_t length = kTables.length[first];
    const __m128i low = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at.data)),
                                         _mm_load_si128(reinterpret_cast<const __m128i*>(kTables.shuffle[first])));
    const __m128i high = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at.data + length)),
                                          _mm_load_si128(reinterpret_cast<const __m128i*>(kTables.shuffle[second])));
    const __m256i codes = _mm256_srlv_epi32(_mm256_set1_epi32(first | second << 8), shifts);
    __m256i v = _mm256_sub_epi32(_mm256_set_m128i(high, low),
                                 _mm256_castps_si256(_mm256_permutevar_ps(biases, codes)));  // takes two bits a lane
    v = _mm256_add_epi32(v, _mm256_slli_si256(v, 4));
    v = _mm256_add_epi32(v, _mm256_slli_si256(v, 8));
    const __m256i below = _mm256_permute2x128_si256(v, v, 0x08);  // zero, low half
    v = _mm256_add_epi32(v, _mm256_shuffle_epi32(below, 0xFF));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at.out), _mm256_add_epi32(v, carry));
    carry = _mm256_add_epi32(carry, _mm256_permutevar8x32_epi32(v, last));
    at.data += length + kTables.length[second];
  }
  at.value = static_cast<std::uint32_t>(_mm256_cvtsi256_si32(carry));
  decode_scalar(at);
}

// For each of sixteen two-bit codes, code + 1 ones in its four bits.
STRATA_TARGET_AVX512 inline std::uint64_t byte_mask(std::uint32_t codes) {
  constexpr std::uint64_t kOnes = 0x1111111111111111u;
  const std::uint64_t spread = _pdep_u64(codes, 3 * kOnes);
  const std::uint64_t low = spread & kOnes, high = (spread >> 1) & kOnes;
  return kOnes | (low | high) << 1 | high << 2 | (low & high) << 3;
}

STRATA_TARGET_AVX512 inline __m512i prefix_sum(__m512i v) {
  const __m512i zero = _mm512_setzero_si512();
  v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 15));
  v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 14));
  v = _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 12));
  return _mm512_add_epi32(v, _mm512_alignr_epi32(v, zero, 8));
}

// The differences of sixteen values; `bytes` holds theirs, one after the other.
STRATA_TARGET_AVX512 inline __m512i differences(std::uint32_t codes, std::uint64_t mask, __m512i bytes) {
  const __m512i shifts = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512 biases =
      _mm512_castsi512_ps(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(kGapBias.data()))));
  const __m512i code = _mm512_srlv_epi32(_mm512_set1_epi32(static_cast<int>(codes)), shifts);
  const __m512i bias = _mm512_castps_si512(_mm512_permutevar_ps(biases, code));  // takes two bits a lane
  return _mm512_sub_epi32(_mm512_maskz_expand_epi8(mask, bytes), bias);
}

STRATA_TARGET_AVX512 void decode_avx512(Cursor at) {
  const __m512i last = _mm512_set1_epi32(15);
  __m512i carry = _mm512_setzero_si512();
  for (; at.count >= 16 && at.end - at.data >= 64; at.count -= 16, at.out += 16, at.control += 4) {
    const auto codes = load<std::uint32_t>(at.control);
    const std::uint64_t mask = byte_mask(codes);
    const __m512i v = prefix_sum(differences(codes, mask, _mm512_loadu_si512(at.data)));
    _mm512_storeu_si512(at.out, _mm512_add_epi32(v, carry));
    carry = _mm512_add_epi32(carry, _mm512_permutexvar_epi32(last, v));
    at.data += _mm_popcnt_u64(mask);
  }
  while (at.count > 0) {  // the same with masks: at most 64 bytes are left, or fewer than sixteen values
    const std::size_t count = std::min<std::size_t>(16, at.count);
    const auto codes = load<std::uint32_t>(at.control, gap_control_bytes(count));
    const std::uint64_t mask = _bzhi_u64(byte_mask(codes), static_cast<unsigned>(4 * count));
    const auto left = static_cast<unsigned>(std::min<std::ptrdiff_t>(64, at.end - at.data));
    const __m512i bytes = _mm512_maskz_loadu_epi8(_bzhi_u64(~std::uint64_t{0}, left), at.data);
    const __m512i v = prefix_sum(differences(codes, mask, bytes));
    _mm512_mask_storeu_epi32(at.out, static_cast<__mmask16>(_bzhi_u32(0xFFFF, static_cast<unsigned>(count))),
                             _mm512_add_epi32(v, carry));
    carry = _mm512_add_epi32(carry, _mm512_permutexvar_epi32(last, v));
    at.data += _mm_popcnt_u64(mask);
    at.count -= count;
    at.out += count;
    at.control += 4;
  }
}

void decode(const Cursor& list, VectorLevel level) {
  switch (level) {
    case VectorLevel::scalar: return decode_scalar(list);
    case VectorLevel::ssse3: return decode_ssse3(list);
    case VectorLevel::avx2: return decode_avx2(list);
    case VectorLevel::avx512: return decode_avx512(list);
  }
}

#else

void decode(const Cursor& list, VectorLevel) { decode_scalar(list); }

#endif

}  // namespace

bool decode_gaps(std::span<const std::byte> encoded, std::span<std::uint32_t> values, VectorLevel level) {
  STRATA_ASSERT(level <= vector_level());
  if (!is_encoded_list(encoded, values.size())) return false;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(encoded.data());
  decode({bytes, bytes + gap_control_bytes(values.size()), bytes + encoded.size(), values.data(), values.size(), 0},
         level);
  return true;
}

void decode_gaps(const GapLists& lists, std::uint32_t* values, std::uint8_t* good) {
  const VectorLevel level = vector_level();
  for (std::size_t i = 0; i < lists.count; ++i) {
    const std::uint64_t begin = lists.byte_begin[i], first = lists.value_begin[i];
    const bool whole = decode_gaps({lists.bytes + begin, lists.byte_begin[i + 1] - begin},
                                   {values + (first - lists.value_begin[0]), lists.value_begin[i + 1] - first}, level);
    good[i] = whole ? 1 : 0;
  }
}

}  // namespace strata::cpu
