// What the CPU bodies were compiled for and which oneDNN they call: one line for summary.json. Two runs give the same
// bits only where this text is the same. And what the processor at hand can do, for the bodies that choose at run time
// (their results do not depend on it).
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace strata {
std::string device_description();

// scalar: what any processor of the kind has. avx512: F, BW, VL, VBMI, VBMI2 and BMI2 (Ice Lake, Zen 4 and later).
enum class VectorLevel : std::uint8_t { scalar, ssse3, avx2, avx512 };
[[nodiscard]] VectorLevel vector_level();                        // the highest one here
[[nodiscard]] std::span<const VectorLevel> vector_levels();      // all that can run here, ascending
[[nodiscard]] const char* vector_level_name(VectorLevel level);  // "scalar", ...
}  // namespace strata
