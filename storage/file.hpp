// Files that do not lose data: RAII descriptors, whole reads and writes (short counts and EINTR retried, ENOSPC
// reported as ResourceError), files that appear under their name only when complete, and locks on directories.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace strata {

namespace fs = std::filesystem;

class File {
 public:
  // create: made if absent, emptied if not. update: made if absent, content kept. All but read can also write.
  enum class Mode { read, read_write, create, update };
  File() = default;
  // direct: O_DIRECT where the file system has it (is_direct() tells); offsets, sizes and addresses must then be
  // multiples of kBlockAlignment.
  File(const fs::path& path, Mode mode, bool direct = false);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  void read_at(std::uint64_t offset, std::span<std::byte> to) const;  // DamagedError when the file ends before
  void write_at(std::uint64_t offset, std::span<const std::byte> from) const;
  [[nodiscard]] std::uint64_t size() const;
  void truncate(std::uint64_t bytes) const;
  void sync() const;  // fsync
  void close();       // checked; the destructor's is not
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  [[nodiscard]] bool is_direct() const { return direct_; }
  [[nodiscard]] int descriptor() const { return fd_; }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  int fd_ = -1;
  bool direct_ = false;
};

// A file being written beside its final name, as .NAME.partial. commit() syncs, renames and syncs the folder; without
// it nothing remains, and what a killed process leaves the next writer of the same file takes over. UsageError when
// another AtomicFile has the same final name at the time.
class AtomicFile {
 public:
  explicit AtomicFile(const fs::path& final_path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  void append(std::span<const std::byte> bytes);  // buffered
  void append(std::string_view text);
  [[nodiscard]] std::uint64_t position() const { return position_; }
  // Overwrites bytes already appended (headers written last).
  void patch(std::uint64_t offset, std::span<const std::byte> bytes);
  [[nodiscard]] const fs::path& final_path() const { return final_path_; }
  void commit();

 private:
  void flush();
  fs::path final_path_;
  File file_;
  std::string buffer_;
  std::uint64_t position_ = 0;
  bool committed_ = false;
};

void write_file_atomically(const fs::path& path, std::string_view content);
[[nodiscard]] std::string read_file(const fs::path& path);
void sync_directory(const fs::path& path);
// Creates a directory under a temporary name, .NAME.partial, and locks it (UsageError when another process is writing
// it; what a killed one left is cleared). publish() renames it to the final name and syncs the parent; without
// publish() the temporary directory is removed. The files in it must have been synced (AtomicFile does that).
class AtomicDirectory {
 public:
  explicit AtomicDirectory(const fs::path& final_path);
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;
  ~AtomicDirectory();
  [[nodiscard]] const fs::path& path() const { return temporary_; }
  [[nodiscard]] const fs::path& final_path() const { return final_path_; }
  enum class IfExists { fail, replace };  // fail: UsageError. replace: the old directory is exchanged, then removed
  void publish(IfExists if_exists = IfExists::fail);

 private:
  fs::path final_path_, temporary_;
  File lock_;  // the temporary directory itself
  bool published_ = false;
};

// An advisory exclusive (or shared) lock on DIR/.lock, held until destruction; UsageError when someone else has it,
// also in the same process. A shared lock on a directory that cannot be written and has no .lock is granted without
// one.
class DirectoryLock {
 public:
  enum class Kind { shared, exclusive };
  DirectoryLock() = default;
  DirectoryLock(const fs::path& directory, Kind kind);
  void release() { file_ = File(); }

 private:
  File file_;
};

// A read-only mapping of a whole file. populate() faults pages in ahead of use, drop() gives them back to the system
// and tells its page cache that they are not needed; without arguments, all of the file.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const fs::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Windows of the file, which may reach beyond its end. Populates every page that the window touches, drops those that
  // lie wholly in it (the last page of the file is whole). An error in reading the file is InputError.
  void populate(std::uint64_t offset, std::uint64_t bytes) const;
  void drop(std::uint64_t offset, std::uint64_t bytes) const;
  void populate() const { populate(0, size_); }
  void drop() const { drop(0, size_); }

 private:
  void populate_window(std::uint64_t offset, std::uint64_t bytes) const;
  fs::path path_;  // and not a descriptor: a graph may have more shards than a process has descriptors
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

[[nodiscard]] std::uint64_t free_disk_bytes(const fs::path& directory);

// Test hooks: with the environment variable STRATA_SKIP_SYNC nothing waits for the disk, which only a machine that
// crashes could tell. STRATA_FAILPOINT="write:17:enospc" | "write:17:kill" | "rename:2:kill" | "sync:3:eio" makes the
// n-th such call of the process fail or kill it ("write:17+:enospc": that and every later one). Operations: read,
// write, sync, rename. Actions: enospc, eio, kill (a write is torn first), and for reads and writes eintr and short,
// which must go unnoticed. Costs one predictable branch when unset.
void failpoint(const char* operation, const fs::path& path);
// The same from inside a test; "" switches it off. Counting starts anew. InputError for a text that is none.
void set_failpoint(const std::string& specification);

}  // namespace strata
