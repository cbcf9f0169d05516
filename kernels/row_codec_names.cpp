#include <cstring>

#include "kernels/row_codec.hpp"

namespace strata {
namespace {
struct CodecName {
  Codec codec;
  const char* name;
};
constexpr CodecName kNames[] = {
    {Codec::fp32, "fp32"}, {Codec::fp16, "fp16"}, {Codec::bf16, "bf16"}, {Codec::int8, "int8"}, {Codec::fp64, "fp64"}};
}  // namespace

const char* codec_name(Codec codec) {
  for (const CodecName& entry : kNames) {
    if (entry.codec == codec) return entry.name;
  }
  return "unknown";
}

bool parse_codec(const char* name, Codec& codec) {
  for (const CodecName& entry : kNames) {
    if (std::strcmp(entry.name, name) == 0) {
      codec = entry.codec;
      return true;
    }
  }
  return false;
}

}  // namespace strata
