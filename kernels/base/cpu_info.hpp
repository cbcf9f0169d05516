// What the CPU bodies were compiled for and which oneDNN they call: one line for summary.json. Two runs give the same
// bits only where this text is the same.
#pragma once

#include <string>

namespace strata {
std::string device_description();
}
