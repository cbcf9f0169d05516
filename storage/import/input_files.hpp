// The files of a data set, wherever they lie: in a directory, in a zip archive that is read in place, or a single file.
// Names are relative, with '/' between folders: "raw/edge.csv.gz".
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "storage/byte_source.hpp"
#include "storage/npz.hpp"

namespace strata {

// One of them. A small handle, valid after the InputFiles it came from is gone.
class InputFile {
 public:
  InputFile() = default;
  explicit InputFile(std::filesystem::path path) : disk_(std::move(path)) {}
  InputFile(std::shared_ptr<const NpzArchive> archive, std::string member)
      : disk_(archive->path()), archive_(std::move(archive)), member_(std::move(member)) {}

  [[nodiscard]] bool exists() const;
  [[nodiscard]] std::string place() const;                                   // "dir/raw/x.csv", "set.zip/raw/x.csv"
  [[nodiscard]] const std::filesystem::path& disk() const { return disk_; }  // the file or the archive
  [[nodiscard]] std::unique_ptr<ByteSource> open() const;                    // as it is stored
  [[nodiscard]] std::unique_ptr<ByteSource> open_text() const;               // unpacked when it is gzip or zstd
  // The file as a zip archive (.npz). One that is deflated within an archive is inflated once, into an unlinked
  // file in `scratch`; ResourceError when there is no room.
  [[nodiscard]] NpzArchive open_archive(const std::filesystem::path& scratch) const;

 private:
  std::filesystem::path disk_;
  std::shared_ptr<const NpzArchive> archive_;  // null: the file itself
  std::string member_;
};

class InputFiles {
 public:
  // `scratch`: where an archive within an archive may be unpacked. InputError when there is nothing at `input`.
  explicit InputFiles(const std::filesystem::path& input, std::filesystem::path scratch = {});

  [[nodiscard]] const std::filesystem::path& path() const { return input_; }
  [[nodiscard]] bool is_archive() const { return archive_ != nullptr; }
  [[nodiscard]] bool is_single_file() const { return single_; }
  // Of the data set: the directory, the folder that all of the archive is in (else the archive), the single file.
  [[nodiscard]] std::string name() const;
  [[nodiscard]] std::vector<std::string> list() const;  // all files, ascending
  [[nodiscard]] bool has(const std::string& name) const { return file(name).exists(); }
  [[nodiscard]] bool has_folder(const std::string& name) const;
  [[nodiscard]] InputFile file(const std::string& name) const;
  [[nodiscard]] std::string place(const std::string& name) const { return file(name).place(); }
  [[nodiscard]] const std::filesystem::path& scratch() const { return scratch_; }
  [[nodiscard]] const std::shared_ptr<const NpzArchive>& archive() const { return archive_; }  // null: a directory
  [[nodiscard]] const std::string& prefix() const { return prefix_; }  // of every name in the archive

 private:
  std::filesystem::path input_, scratch_;
  std::shared_ptr<const NpzArchive> archive_;
  std::string prefix_;  // "" or "arxiv/"
  bool single_ = false;
};

// What was or will be read, as files on disk, each once.
[[nodiscard]] std::vector<std::filesystem::path> files_on_disk(const std::vector<InputFile>& files);

// Whether the file begins as a zip archive does.
[[nodiscard]] bool is_zip(const std::filesystem::path& path);

}  // namespace strata
