#include "storage/inflate.hpp"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <string>

namespace strata {

struct Inflater::State {
  inflate_state stream;
  isal_gzip_header header;
  bool in_header = false;
};

Inflater::Inflater(ByteSource& compressed, Format format, std::size_t buffer_bytes)
    : compressed_(compressed),
      format_(format),
      buffer_(std::max<std::size_t>(buffer_bytes, 1)),
      state_(std::make_unique<State>()) {
  isal_inflate_init(&state_->stream);
  state_->stream.next_in = nullptr;
  state_->stream.avail_in = 0;
  start();
}

Inflater::~Inflater() = default;

// isal_inflate_reset keeps the input position and clears crc_flag. The header of a gzip member is read apart, into one
// that lasts: isal_inflate forgets the flags of a header that comes in pieces (2.30).
void Inflater::start() {
  isal_inflate_reset(&state_->stream);
  state_->in_header = format_ == Format::gzip;
  state_->stream.crc_flag = state_->in_header ? ISAL_GZIP_NO_HDR_VER : ISAL_DEFLATE;
  state_->header = {};
  isal_gzip_header_init(&state_->header);
}

void Inflater::read_header() {
  inflate_state& stream = state_->stream;
  while (state_->in_header) {
    if (stream.avail_in == 0 && !refill()) fail_truncated();
    const int result = isal_read_gzip_header(&stream, &state_->header);
    if (result == ISAL_END_INPUT) continue;
    if (result != ISAL_DECOMP_OK) compressed_.fail(consumed(), "not gzip data");
    state_->in_header = false;
  }
}

void Inflater::fail_truncated() const {
  compressed_.fail(fetched_, "the compressed data end too early: the file is truncated");
}

bool Inflater::refill() {
  if (at_end_) return false;
  const std::size_t got = compressed_.read(buffer_);
  at_end_ = got < buffer_.size();
  fetched_ += got;
  state_->stream.next_in = reinterpret_cast<std::uint8_t*>(buffer_.data());
  state_->stream.avail_in = static_cast<std::uint32_t>(got);
  return got > 0;
}

bool Inflater::finished() const { return state_->stream.block_state == ISAL_BLOCK_FINISH; }

std::uint64_t Inflater::consumed() const {
  const std::uint64_t held = static_cast<std::uint64_t>(std::max(state_->stream.read_in_length, 0)) / 8;
  return fetched_ - state_->stream.avail_in - held;
}

std::size_t Inflater::read(std::span<std::byte> to) {
  inflate_state& stream = state_->stream;
  std::size_t done = 0;
  read_header();
  while (done < to.size() && !finished()) {
    const bool starved = stream.avail_in == 0 && !refill();
    const std::uint32_t room = static_cast<std::uint32_t>(std::min<std::size_t>(to.size() - done, 1u << 30));
    const std::uint32_t input = stream.avail_in;
    stream.next_out = reinterpret_cast<std::uint8_t*>(to.data() + done);
    stream.avail_out = room;
    const int result = isal_inflate(&stream);
    done += room - stream.avail_out;
    if (result == ISAL_INCORRECT_CHECKSUM) compressed_.fail(consumed(), "the data do not match their CRC-32");
    if (result < 0) compressed_.fail(consumed(), "damaged deflate data (code " + std::to_string(result) + ")");
    const bool stuck = stream.avail_out == room && stream.avail_in == input && !finished();
    if (starved && stuck) fail_truncated();
  }
  return done;
}

bool Inflater::start_next_member() {
  inflate_state& stream = state_->stream;
  if (stream.avail_in == 0 && !refill()) return false;
  if (*stream.next_in != 0) {
    if (*stream.next_in != 0x1f) compressed_.fail(consumed(), "unknown data behind the end of the gzip data");
    start();
    return true;
  }
  do {
    const std::uint8_t* const end = stream.next_in + stream.avail_in;
    const std::uint8_t* const other =
        std::find_if(stream.next_in, stream.next_in + stream.avail_in, [](std::uint8_t byte) { return byte != 0; });
    if (other != end) compressed_.fail(consumed(), "unknown data behind the end of the gzip data");
    stream.avail_in = 0;
  } while (refill());
  return false;
}

std::uint32_t crc32_update(std::uint32_t crc, std::span<const std::byte> bytes) {
  return crc32_gzip_refl(crc, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

}  // namespace strata
