#include "kernels/base/cpu_info.hpp"

#include <dnnl.h>

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

}  // namespace

std::string device_description() {
  const dnnl_version_t* dnnl = dnnl_version();
  std::string text = "cpu " + processor_name() + ", compiled for " + kVectorSet;
  text +=
      ", oneDNN " + std::to_string(dnnl->major) + "." + std::to_string(dnnl->minor) + "." + std::to_string(dnnl->patch);
  return text;
}

}  // namespace strata
