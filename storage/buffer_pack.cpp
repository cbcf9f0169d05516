// Packed tiles of the buffer manager: what a tile becomes on its way to the disk and back, and the memory it passes
// through. The block itself is never changed by writing it: others may read it meanwhile, and it may stay.
#include <array>
#include <cstring>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/bitmap_codec.hpp"
#include "storage/buffer_state.hpp"
#include "storage/checksum.hpp"

namespace strata {

namespace {

// The tile's content as the codec sees it.
std::span<std::uint16_t> values_of(std::span<std::byte> slot, std::size_t content) {
  return {reinterpret_cast<std::uint16_t*>(slot.data()), content / sizeof(std::uint16_t)};
}

std::size_t width_of(const BufferedStore& store, std::size_t tile) {
  return panel_width(store.shape.cols, store.panel_of(tile));
}

}  // namespace

double DiskForm::share(const RowShape& shape) const {
  if (!bitmap || shape.rows == 0 || shape.cols == 0) return 1;
  const auto page = static_cast<double>(kBlockAlignment);
  double packed = 0, slots = 0;
  for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
    const double values = static_cast<double>(shape.tile_bytes(0, panel)) / sizeof(std::uint16_t);
    const auto slot = static_cast<double>(shape.tile_slot(0, panel));
    // Whole pages take half a page more than there is, in the mean.
    const double bytes = static_cast<double>(bitmap_bytes(shape.chunk_rows(0), 0)) + 2 * kept * values + page / 2;
    packed += bytes + page > slot ? slot : bytes;
    slots += slot;
  }
  return packed / slots;
}

bool BufferedStore::packing_saves(std::size_t tile) const {
  const auto values = values_of(tiles[tile].memory.bytes(), content_bytes(tile));
  const std::size_t length = cpu::pack_bitmap(values, width_of(*this, tile), {});  // nothing fits: only its length
  return round_up(length, kBlockAlignment) < slot_bytes(tile);
}

DiskImage BufferedStore::disk_image(std::size_t tile, std::span<std::byte> staging) const {
  const std::span<std::byte> slot = tiles[tile].memory.bytes();
  const std::size_t content = content_bytes(tile);
  if (staging.empty()) return {slot, checksum(slot.first(content)), 0};
  const std::size_t length = cpu::pack_bitmap(values_of(slot, content), width_of(*this, tile), staging);
  const std::size_t bytes = round_up(length, kBlockAlignment);
  STRATA_ASSERT(bytes <= staging.size());
  std::memset(staging.data() + length, 0, bytes - length);
  const std::span<std::byte> packed = staging.first(bytes);
  return {packed, checksum(packed), static_cast<std::uint8_t>(bytes / kBlockAlignment)};
}

// A packed tile leaves a gap in its slot: of panels 0, 2, ... before it, of the others behind it, so that two packed
// neighbours touch and move in one request.
std::uint64_t BufferedStore::packed_offset(std::size_t tile, std::size_t pages) const {
  const std::uint64_t slot = SpillFile::offset(shape, tile);
  if (pages == 0 || panel_of(tile) % 2 == 1) return slot;
  return slot + slot_bytes(tile) - pages * kBlockAlignment;
}

// The packed pages lie where the values go: they move to the stack, which is the only copy of a tile beside the budget.
void BufferedStore::unpack(std::size_t tile, std::span<std::byte> slot) const {
  alignas(64) std::array<std::byte, BufferManager::kMostPacked> packed;
  const std::size_t bytes = disk_bytes(tile);
  std::memcpy(packed.data(), slot.data(), bytes);
  const auto values = values_of(slot, content_bytes(tile));
  if (cpu::unpack_bitmap(std::span(packed).first(bytes), width_of(*this, tile), values)) return;
  throw DamagedError(file().path().string(),
                     "chunk " + std::to_string(chunk_of(tile)) + ", panel " + std::to_string(panel_of(tile)),
                     "a packed block of " + std::to_string(bytes) + " bytes", "masks that ask for more");
}

void BufferManager::State::make_staging() {
  {
    const std::lock_guard lock(mutex);
    if (!staging.empty()) return;
  }
  Buffer memory(budget, kPackingBytes, "blocks packed on their way to the disk");
  const std::lock_guard lock(mutex);
  if (!staging.empty()) return;  // another thread was faster
  staging = std::move(memory);
  for (std::size_t place = 0; place < kPackedWrites; ++place) staging_free.push_back(static_cast<std::uint8_t>(place));
}

StagingPlaces BufferManager::State::take_staging(Lock& lock, std::size_t count) {
  while (staging_free.size() < count) wait(lock);
  StagingPlaces staged;
  for (std::size_t i = 0; i < count; ++i) {
    staged.add(staging_free.back());
    staging_free.pop_back();
  }
  return staged;
}

void BufferManager::State::give_back_staging(const StagingPlaces& staged) {
  for (std::size_t i = 0; i < staged.count; ++i) staging_free.push_back(staged.places.at(i));
}

}  // namespace strata
