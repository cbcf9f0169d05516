#include "storage/byte_source.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/file.hpp"
#include "storage/inflate.hpp"

namespace strata {

void ByteSource::read_exactly(std::span<std::byte> to, std::uint64_t position) {
  const std::size_t got = read(to);
  if (got != to.size()) {
    fail(position + got, "the data end here, " + std::to_string(to.size() - got) + " bytes too early");
  }
}

std::uint64_t ByteSource::skip(std::uint64_t bytes) {
  std::vector<std::byte> scrap(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, std::size_t{1} << 16)));
  std::uint64_t left = bytes;
  while (left > 0) {
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(left, scrap.size()));
    const std::size_t got = read({scrap.data(), want});
    left -= got;
    if (got < want) break;
  }
  return bytes - left;
}

void ByteSource::fail(std::uint64_t position, const std::string& what) const {
  const std::string inside = part();
  throw InputError(path(), (inside.empty() ? "" : inside + ", ") + "byte " + std::to_string(position), what);
}

namespace {

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::filesystem::path& path) : file_(path, File::Mode::read), path_(path.string()) {
    if (std::filesystem::is_directory(path)) throw InputError(path_, "", "is a directory, not a file");
    size_ = file_.size();
  }
  std::size_t read(std::span<std::byte> to) override {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), size_ - position_));
    if (count > 0) file_.read_at(position_, to.first(count));
    position_ += count;
    return count;
  }
  std::uint64_t skip(std::uint64_t bytes) override {
    const std::uint64_t count = std::min(bytes, size_ - position_);
    position_ += count;
    return count;
  }
  std::optional<std::uint64_t> size() const override { return size_; }
  const std::string& path() const override { return path_; }

 private:
  File file_;
  std::string path_;
  std::uint64_t size_ = 0, position_ = 0;
};

class GzipSource final : public ByteSource {
 public:
  GzipSource(std::unique_ptr<ByteSource> compressed, std::size_t buffer_bytes)
      : compressed_(std::move(compressed)), inflater_(*compressed_, Inflater::Format::gzip, buffer_bytes) {}
  std::size_t read(std::span<std::byte> to) override {
    std::size_t done = 0;
    while (done < to.size() && !at_end_) {
      done += inflater_.read(to.subspan(done));
      if (inflater_.finished()) at_end_ = !inflater_.start_next_member();
    }
    return done;
  }
  const std::string& path() const override { return compressed_->path(); }
  std::string part() const override { return "inflated"; }

 private:
  std::unique_ptr<ByteSource> compressed_;
  Inflater inflater_;
  bool at_end_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_file_source(const std::filesystem::path& path) {
  return std::make_unique<FileSource>(path);
}

std::unique_ptr<ByteSource> open_gzip_source(std::unique_ptr<ByteSource> compressed, std::size_t buffer_bytes) {
  return std::make_unique<GzipSource>(std::move(compressed), buffer_bytes);
}

std::unique_ptr<ByteSource> open_unpacked(const std::function<std::unique_ptr<ByteSource>()>& open) {
  std::array<std::byte, 4> magic{};
  const std::size_t got = open()->read(magic);
  const auto starts = [&](std::initializer_list<int> bytes) {
    return got >= bytes.size() && std::equal(bytes.begin(), bytes.end(), magic.begin(),
                                             [](int expected, std::byte b) { return std::byte(expected) == b; });
  };
  if (starts({0x1f, 0x8b})) return open_gzip_source(open());
  if (starts({0x28, 0xb5, 0x2f, 0xfd})) return open_zstd_source(open());
  return open();
}

std::unique_ptr<ByteSource> open_text_source(const std::filesystem::path& path) {
  return open_unpacked([&path] { return open_file_source(path); });
}

LineReader::LineReader(std::unique_ptr<ByteSource> source, std::size_t max_line)
    : source_(std::move(source)), max_line_(max_line), buffer_(std::min(max_line, std::size_t{1} << 18) + 2) {}

bool LineReader::fill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) buffer_.resize(std::min(2 * buffer_.size(), max_line_ + 2));
  const std::span<char> space = std::span(buffer_).subspan(end_);
  const std::size_t got = source_->read(std::as_writable_bytes(space));
  end_ += got;
  at_end_ = got < space.size();
  return got > 0;
}

bool LineReader::next() {
  std::size_t searched = 0;  // bytes from begin_ known to hold no line end
  for (;;) {
    const char* const first = buffer_.data() + begin_;
    const std::size_t unread = end_ - begin_;
    const void* const found = unread > searched ? std::memchr(first + searched, '\n', unread - searched) : nullptr;
    const bool last = found == nullptr && at_end_;
    if (last && unread == 0) return false;
    if (found != nullptr || last) {
      const std::size_t length = last ? unread : static_cast<std::size_t>(static_cast<const char*>(found) - first);
      begin_ += length + (last ? 0 : 1);
      ++number_;
      line_ = {first, length};
      if (line_.ends_with('\r')) line_.remove_suffix(1);
      if (line_.size() > max_line_) fail("a line longer than " + std::to_string(max_line_) + " bytes");
      return true;
    }
    searched = unread;
    if (unread >= max_line_ + 2) {
      ++number_;
      fail("a line longer than " + std::to_string(max_line_) + " bytes");
    }
    static_cast<void>(fill());
  }
}

void LineReader::fail(const std::string& what) const {
  throw InputError(path(), "line " + std::to_string(number_), what);
}

}  // namespace strata
