// Where figures come from: the machine, the build and the moment.
#pragma once

#include "bench/report.hpp"

namespace strata::bench {
[[nodiscard]] Environment describe_environment(unsigned threads);
}
