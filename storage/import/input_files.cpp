#include "storage/import/input_files.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <system_error>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/file.hpp"

namespace strata {
namespace {

// A member of an archive under a name that reads like a path.
class NamedSource final : public ByteSource {
 public:
  NamedSource(std::unique_ptr<ByteSource> source, std::string path)
      : source_(std::move(source)), path_(std::move(path)) {}
  std::size_t read(std::span<std::byte> to) override { return source_->read(to); }
  std::uint64_t skip(std::uint64_t bytes) override { return source_->skip(bytes); }
  std::optional<std::uint64_t> size() const override { return source_->size(); }
  const std::string& path() const override { return path_; }

 private:
  std::unique_ptr<ByteSource> source_;
  std::string path_;
};

// A file without a name, gone with the last handle.
std::shared_ptr<File> nameless_file(const fs::path& folder) {
  static std::atomic<unsigned> count{0};
  const fs::path path = folder / (".strata-unpacked-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
  auto file = std::make_shared<File>(path, File::Mode::create);
  fs::remove(path);
  return file;
}

ArchiveBytes unpack_member(const NpzArchive& archive, const std::string& member, const fs::path& scratch) {
  const std::uint64_t size = archive.find(member)->size;
  const fs::path folder = scratch.empty() ? fs::current_path() : scratch;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_system_error(error.value(), folder.string(), "create the temporary directory");
  const std::uint64_t free = free_disk_bytes(folder);
  if (size > free) {
    throw ResourceError(archive.path() + ": member " + member + " is compressed and unpacks to " + format_bytes(size) +
                            ", but " + folder.string() + " has only " + format_bytes(free) +
                            " free; choose another place with --tmp",
                        size);
  }
  const std::shared_ptr<File> file = nameless_file(folder);
  const std::unique_ptr<ByteSource> source = archive.open(member);
  std::vector<std::byte> piece(std::size_t{1} << 20);
  for (std::uint64_t at = 0; at < size;) {
    const std::size_t got = source->read(piece);
    file->write_at(at, std::span(piece).first(got));
    at += got;
  }
  return {file, 0, size, archive.path() + "/" + member};
}

// The folder that every file of the archive is in, as "folder/"; empty when there are several or it is part of a
// layout.
std::string common_folder(const NpzArchive& archive) {
  std::string common;
  for (const ZipMember& member : archive.members()) {
    if (member.name.rfind("__MACOSX/", 0) == 0) continue;
    const std::size_t slash = member.name.find('/');
    if (slash == std::string::npos) return {};
    const std::string folder = member.name.substr(0, slash + 1);
    if (!common.empty() && common != folder) return {};
    common = folder;
  }
  const bool layout = common == "raw/" || common == "split/" || common == "processed/";
  return layout ? std::string() : common;
}

}  // namespace

bool is_zip(const fs::path& path) {
  std::array<std::byte, 4> magic{};
  if (!fs::is_regular_file(path) || open_file_source(path)->read(magic) < 4) return false;
  return magic[0] == std::byte{'P'} && magic[1] == std::byte{'K'} &&
         (magic[2] == std::byte{3} || magic[2] == std::byte{5});
}

bool InputFile::exists() const {
  return archive_ ? archive_->find(member_) != nullptr : !disk_.empty() && fs::is_regular_file(disk_);
}

std::string InputFile::place() const { return archive_ ? archive_->path() + "/" + member_ : disk_.string(); }

std::unique_ptr<ByteSource> InputFile::open() const {
  if (!archive_) return open_file_source(disk_);
  return std::make_unique<NamedSource>(archive_->open(member_), place());
}

std::unique_ptr<ByteSource> InputFile::open_text() const {
  return open_unpacked([this] { return open(); });
}

NpzArchive InputFile::open_archive(const fs::path& scratch) const {
  if (!archive_) return NpzArchive(disk_);
  if (std::optional<ArchiveBytes> bytes = archive_->stored_bytes(member_)) return NpzArchive(std::move(*bytes));
  return NpzArchive(unpack_member(*archive_, member_, scratch));
}

InputFiles::InputFiles(const fs::path& input, fs::path scratch) : input_(input), scratch_(std::move(scratch)) {
  if (input_.filename().empty()) input_ = input_.parent_path();  // a trailing slash
  if (fs::is_directory(input_)) return;
  if (!fs::exists(input_)) throw InputError(input.string(), "", "there is no such file or directory");
  if (input_.extension() == ".zip" || (input_.extension() != ".npz" && is_zip(input_))) {
    archive_ = std::make_shared<const NpzArchive>(input_);
    prefix_ = common_folder(*archive_);
  } else {
    single_ = true;
  }
}

std::string InputFiles::name() const {
  if (!prefix_.empty()) return prefix_.substr(0, prefix_.size() - 1);
  const fs::path whole = fs::absolute(input_).lexically_normal();
  if (archive_) return whole.stem().string();
  return whole.filename().empty() ? whole.parent_path().filename().string() : whole.filename().string();
}

std::vector<std::string> InputFiles::list() const {
  std::vector<std::string> names;
  if (archive_) {
    for (const ZipMember& member : archive_->members()) {
      const bool file = !member.name.ends_with('/') && member.name.rfind(prefix_, 0) == 0;
      if (file && member.name.rfind("__MACOSX/", 0) != 0) names.push_back(member.name.substr(prefix_.size()));
    }
  } else if (single_) {
    names.push_back(input_.filename().string());
  } else {
    for (const fs::directory_entry& entry :
         fs::recursive_directory_iterator(input_, fs::directory_options::skip_permission_denied)) {
      if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(input_).generic_string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool InputFiles::has_folder(const std::string& name) const {
  if (single_) return false;
  if (!archive_) return fs::is_directory(input_ / name);
  const std::string start = prefix_ + name + "/";
  return std::any_of(archive_->members().begin(), archive_->members().end(),
                     [&](const ZipMember& member) { return member.name.rfind(start, 0) == 0; });
}

InputFile InputFiles::file(const std::string& name) const {
  if (archive_) return {archive_, prefix_ + name};
  if (single_) return InputFile(name == input_.filename() ? input_ : fs::path());
  return InputFile(input_ / name);
}

std::vector<fs::path> files_on_disk(const std::vector<InputFile>& files) {
  std::vector<fs::path> paths;
  for (const InputFile& file : files) {
    if (std::find(paths.begin(), paths.end(), file.disk()) == paths.end()) paths.push_back(file.disk());
  }
  return paths;
}

}  // namespace strata
