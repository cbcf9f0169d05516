// Zstd frames as a ByteSource.
#include <zstd.h>

#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "storage/byte_source.hpp"

namespace strata {
namespace {

constexpr int kMaxWindowLog = 25;  // what `zstd -20` uses

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<ByteSource> compressed)
      : compressed_(std::move(compressed)), context_(ZSTD_createDCtx()), buffer_(ZSTD_DStreamInSize()) {
    if (!context_) throw std::bad_alloc();
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  }

  std::size_t read(std::span<std::byte> to) override {
    ZSTD_outBuffer out{to.data(), to.size(), 0};
    while (out.pos < out.size) {
      if (input_.pos == input_.size && !drained_) refill();
      const std::size_t before = out.pos;
      const bool starved = input_.pos == input_.size;
      if (starved && between_frames_) break;
      const std::size_t result = ZSTD_decompressStream(context_.get(), &out, &input_);
      if (ZSTD_isError(result) != 0) {
        compressed_->fail(position(), std::string("damaged zstd data (") + ZSTD_getErrorName(result) + ")");
      }
      between_frames_ = result == 0;
      if (starved && !between_frames_ && out.pos == before) {
        compressed_->fail(fetched_, "the compressed data end too early: the file is truncated");
      }
    }
    return out.pos;
  }
  const std::string& path() const override { return compressed_->path(); }
  std::string part() const override { return "inflated"; }

 private:
  [[nodiscard]] std::uint64_t position() const { return fetched_ - (input_.size - input_.pos); }
  void refill() {
    const std::size_t got = compressed_->read(buffer_);
    drained_ = got < buffer_.size();
    fetched_ += got;
    input_ = {buffer_.data(), got, 0};
  }

  std::unique_ptr<ByteSource> compressed_;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  std::vector<std::byte> buffer_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  std::uint64_t fetched_ = 0;
  bool drained_ = false;  // the compressed source has ended
  bool between_frames_ = true;
};

}  // namespace

std::unique_ptr<ByteSource> open_zstd_source(std::unique_ptr<ByteSource> compressed) {
  return std::make_unique<ZstdSource>(std::move(compressed));
}

}  // namespace strata
