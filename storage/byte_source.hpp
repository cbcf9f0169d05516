// Bytes that come once, front to back: a file, a gzip or zstd stream, a member of a zip archive; and lines of text on
// top of them. Every failure is an InputError that names the file and the position.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;

  // Fills `to` from the front and returns how many bytes it wrote: fewer than asked only when the data end there.
  [[nodiscard]] virtual std::size_t read(std::span<std::byte> to) = 0;
  // Leaves out the next `bytes` bytes; returns how many there were. Reads them unless the source can do better.
  [[nodiscard]] virtual std::uint64_t skip(std::uint64_t bytes);
  // How many bytes the source holds in all, where that is known beforehand.
  [[nodiscard]] virtual std::optional<std::uint64_t> size() const { return std::nullopt; }
  [[nodiscard]] virtual const std::string& path() const = 0;
  // What the bytes are inside the file, for messages: "member x.npy", or empty for the file itself.
  [[nodiscard]] virtual std::string part() const { return {}; }

  // InputError unless all of `to` could be filled; `position` (of to[0] in this source) is for the message.
  void read_exactly(std::span<std::byte> to, std::uint64_t position);
  // An InputError about byte `position` of this source.
  [[noreturn]] void fail(std::uint64_t position, const std::string& what) const;
};

// A plain file, or InputError.
[[nodiscard]] std::unique_ptr<ByteSource> open_file_source(const std::filesystem::path& path);
// The text of a gzip file (members in sequence, zero padding behind the last), inflated and checked against its CRCs.
// `buffer_bytes` of compressed data are read at a time. Damaged or truncated data: InputError with the byte.
[[nodiscard]] std::unique_ptr<ByteSource> open_gzip_source(std::unique_ptr<ByteSource> compressed,
                                                           std::size_t buffer_bytes = std::size_t{1} << 18);
// The content of zstd frames in sequence, checked against their checksums. Frames that need a window of more than 32
// MiB are refused, which bounds the memory.
[[nodiscard]] std::unique_ptr<ByteSource> open_zstd_source(std::unique_ptr<ByteSource> compressed);
// What `open` gives, unpacked when its first bytes are those of gzip or zstd. Calls `open` twice.
[[nodiscard]] std::unique_ptr<ByteSource> open_unpacked(const std::function<std::unique_ptr<ByteSource>()>& open);
// A file, unpacked when it is gzip or zstd.
[[nodiscard]] std::unique_ptr<ByteSource> open_text_source(const std::filesystem::path& path);

// Lines without their line end (LF or CRLF; the last line may lack it). Move-only.
//   LineReader lines(open_text_source(path));
//   while (lines.next()) use(lines.line(), lines.number());
class LineReader {
 public:
  // A line longer than max_line is an InputError, which bounds the memory.
  explicit LineReader(std::unique_ptr<ByteSource> source, std::size_t max_line = std::size_t{1} << 24);
  [[nodiscard]] bool next();                                      // false at the end
  [[nodiscard]] std::string_view line() const { return line_; }   // valid until the next call of next()
  [[nodiscard]] std::uint64_t number() const { return number_; }  // of line(), from 1
  [[nodiscard]] const std::string& path() const { return source_->path(); }
  // An InputError about line number().
  [[noreturn]] void fail(const std::string& what) const;

 private:
  [[nodiscard]] bool fill();  // more bytes behind those still unread; false at the end
  std::unique_ptr<ByteSource> source_;
  std::size_t max_line_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // the unread part of buffer_
  bool at_end_ = false;
  std::string_view line_;
  std::uint64_t number_ = 0;
};

}  // namespace strata
