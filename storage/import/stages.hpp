// Times the stages of a conversion and tells the listener about them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "storage/import/convert.hpp"

namespace strata {

class Stages {
 public:
  using Unit = ConvertListener::Unit;
  Stages(ConvertListener* listener, ConvertReport& report) : listener_(listener), report_(report) {}
  ~Stages();  // closes a stage that an exception left open, for the listener
  void begin(const std::string& name, std::uint64_t total, Unit unit);
  void advance(std::uint64_t amount) const;
  void end();
  void hint(const std::string& text) const;

 private:
  ConvertListener* listener_;
  ConvertReport& report_;
  bool open_ = false;
  StageReport stage_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace strata
