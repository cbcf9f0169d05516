#include "storage/import/stages.hpp"

#include <fstream>
#include <limits>

namespace strata {
namespace {

// The number behind `key` in a /proc file of "key: value" lines; 0 where the system has no such file.
std::uint64_t proc_value(const char* file, const std::string& key) {
  std::ifstream in(file);
  std::string word;
  while (in >> word) {
    std::uint64_t value = 0;
    if (word == key && in >> value) return value;
    in.clear();
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

}  // namespace

Stages::~Stages() {
  if (open_ && listener_ != nullptr) listener_->end_stage();
}

void Stages::begin(const std::string& name, std::uint64_t total, Unit unit) {
  open_ = true;
  stage_ = StageReport{name, 0, proc_value("/proc/self/io", "rchar:"), proc_value("/proc/self/io", "wchar:"), 0};
  start_ = std::chrono::steady_clock::now();
  if (listener_ != nullptr) listener_->begin_stage(name, total, unit);
}

void Stages::advance(std::uint64_t amount) const {
  if (listener_ != nullptr) listener_->advance(amount);
}

void Stages::end() {
  open_ = false;
  stage_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  stage_.bytes_read = proc_value("/proc/self/io", "rchar:") - stage_.bytes_read;
  stage_.bytes_written = proc_value("/proc/self/io", "wchar:") - stage_.bytes_written;
  stage_.peak_memory = proc_value("/proc/self/status", "VmHWM:") * 1024;
  report_.stages.push_back(stage_);
  if (listener_ != nullptr) listener_->end_stage();
}

void Stages::hint(const std::string& text) const {
  if (listener_ != nullptr) listener_->hint(text);
}

}  // namespace strata
