// Reading ahead of a pass: which chunks of which row stores it will pin, in its order. What the window of the buffer
// manager holds is on its way from the disk while earlier chunks are computed. Changes no result.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "storage/buffer_manager.hpp"

namespace strata {

class ReadAhead {
 public:
  // off: advance() does nothing.
  explicit ReadAhead(bool on) : on_(on) {}

  // Panels [first_panel, first_panel + panels) of all chunks in their order, or of the listed ones.
  void add(const RowStore& store, std::size_t first_panel, std::size_t panels) {
    if (on_) streams_.push_back({&store, first_panel, panels, {}, store.shape().chunks(), 0});
  }
  void add(const RowStore& store) { add(store, 0, store.shape().panels()); }
  void add(const RowStore& store, std::vector<std::uint32_t> chunks) {
    add(store, 0, store.shape().panels(), std::move(chunks));
  }
  void add(const RowStore& store, std::size_t first_panel, std::size_t panels, std::vector<std::uint32_t> chunks) {
    if (!on_ || chunks.empty()) return;
    const std::size_t count = chunks.size();
    streams_.push_back({&store, first_panel, panels, std::move(chunks), count, 0});
  }

  // Starts as many reads as there is room for; the streams keep abreast. One thread at a time; to be called before
  // every item of the pass.
  void advance() {
    for (;;) {
      Stream* behind = nullptr;
      for (Stream& s : streams_) {
        if (s.next < s.count && (behind == nullptr || s.next * behind->count < behind->next * s.count)) behind = &s;
      }
      if (behind == nullptr) return;
      const std::size_t chunk = behind->chunks.empty() ? behind->next : behind->chunks[behind->next];
      if (!behind->store->prefetch(chunk, behind->first_panel, behind->panels)) return;
      ++behind->next;
    }
  }

 private:
  struct Stream {
    const RowStore* store = nullptr;
    std::size_t first_panel = 0, panels = 0;
    std::vector<std::uint32_t> chunks;  // empty: 0..count-1
    std::size_t count = 0, next = 0;
  };
  bool on_;
  std::vector<Stream> streams_;
};

}  // namespace strata
