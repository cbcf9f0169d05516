#include <cstring>

#include "kernels/activation.hpp"

namespace strata {
namespace {
struct ActivationName {
  Activation activation;
  const char* name;
};
constexpr ActivationName kNames[] = {
    {Activation::none, "none"},      {Activation::relu, "relu"}, {Activation::leaky_relu, "leaky_relu"},
    {Activation::elu, "elu"},        {Activation::gelu, "gelu"}, {Activation::tanh, "tanh"},
    {Activation::sigmoid, "sigmoid"}};
}  // namespace

const char* activation_name(Activation activation) {
  for (const ActivationName& entry : kNames) {
    if (entry.activation == activation) return entry.name;
  }
  return "unknown";
}

bool parse_activation(const char* name, Activation& activation) {
  for (const ActivationName& entry : kNames) {
    if (std::strcmp(entry.name, name) == 0) {
      activation = entry.activation;
      return true;
    }
  }
  return false;
}

}  // namespace strata
