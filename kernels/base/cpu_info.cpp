#include "kernels/base/cpu_info.hpp"

#include <dnnl.h>

#include <array>
#include <cstdio>
#include <string_view>

namespace strata {
namespace {

constexpr const char* kVectorSet =
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
    "avx512";
#elif defined(__AVX2__) && defined(__FMA__)
    "avx2+fma";
#elif defined(__FMA__)
    "fma";
#else
    "baseline";
#endif

// "model name" of the first processor, or the empty string where /proc does not say.
std::string processor_name() {
  std::FILE* file = std::fopen("/proc/cpuinfo", "r");
  if (file == nullptr) return "";
  char line[512];
  std::string name;
  while (name.empty() && std::fgets(line, sizeof line, file) != nullptr) {
    const std::string_view text(line);
    if (!text.starts_with("model name")) continue;
    const std::size_t colon = text.find(": ");
    if (colon != std::string_view::npos) name = text.substr(colon + 2, text.find('\n') - colon - 2);
  }
  std::fclose(file);
  return name;
}

constexpr std::array kLevels = {VectorLevel::scalar, VectorLevel::ssse3, VectorLevel::avx2, VectorLevel::avx512};

VectorLevel detected_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("ssse3") == 0) return VectorLevel::scalar;
  if (__builtin_cpu_supports("avx2") == 0) return VectorLevel::ssse3;
  const bool avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                      __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vbmi") != 0 &&
                      __builtin_cpu_supports("avx512vbmi2") != 0 && __builtin_cpu_supports("bmi2") != 0;
  return avx512 ? VectorLevel::avx512 : VectorLevel::avx2;
#else
  return VectorLevel::scalar;
#endif
}

}  // namespace

VectorLevel vector_level() {
  static const VectorLevel level = detected_level();
  return level;
}

std::span<const VectorLevel> vector_levels() {
  return std::span(kLevels).first(static_cast<std::size_t>(vector_level()) + 1);
}

const char* vector_level_name(VectorLevel level) {
  switch (level) {
    case VectorLevel::scalar: return "scalar";
    case VectorLevel::ssse3: return "ssse3";
    case VectorLevel::avx2: return "avx2";
    case VectorLevel::avx512: return "avx512";
  }
  return "?";
}

std::string device_description() {
  const dnnl_version_t* dnnl = dnnl_version();
  std::string text = "cpu " + processor_name() + ", compiled for " + kVectorSet;
  text +=
      ", oneDNN " + std::to_string(dnnl->major) + "." + std::to_string(dnnl->minor) + "." + std::to_string(dnnl->patch);
  return text;
}

}  // namespace strata
