// A hidden directory for what a conversion spills, removed with its content at the end. Its name follows from the
// output's, so that the next run of the same conversion clears what a killed one left; a lock keeps two runs apart.
#pragma once

#include <filesystem>

#include "storage/file.hpp"

namespace strata {

class TemporaryDirectory {
 public:
  // <parent>/.<output name>.convert-tmp; nothing is made until path() is first called,
  // but what an earlier run left is cleared.
  TemporaryDirectory(const std::filesystem::path& parent, const std::filesystem::path& output);
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  [[nodiscard]] const std::filesystem::path& path();

 private:
  std::filesystem::path path_;
  DirectoryLock lock_;
  bool made_ = false;
};

}  // namespace strata
