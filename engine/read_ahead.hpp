// Reading ahead of a pass: which chunks of which row stores it will pin, in its order. What the window of the buffer
// manager holds is on its way from the disk while earlier chunks are computed. Changes no result.
#pragma once

#include <cstdint>
#include <vector>

#include "storage/buffer_manager.hpp"

namespace strata {

class ReadAhead {
 public:
  struct Stream {
    const RowStore* store = nullptr;
    std::size_t first_panel = 0;
    std::size_t panels = 0;
  };
  // off: advance() does nothing.
  explicit ReadAhead(bool on) : on_(on) {}

  void add(const RowStore& store) { add(store, 0, store.shape().panels()); }
  void add(const RowStore& store, std::size_t first_panel, std::size_t panels) {
    if (on_) streams_.push_back({&store, first_panel, panels});
  }
  // The chunks in the order of the pass: `count` from 0 on, or a list. They are the same ones in every stream.
  void all_chunks(std::size_t count) { count_ = count; }
  void chunks(std::vector<std::uint32_t> list) {
    list_ = std::move(list);
    count_ = list_.size();
  }

  // Starts as many reads as there is room for. One thread at a time; to be called before every item of the pass.
  void advance() {
    if (streams_.empty()) return;
    while (next_ < count_) {
      const std::size_t chunk = list_.empty() ? next_ : list_[next_];
      for (; stream_ < streams_.size(); ++stream_) {
        const Stream& s = streams_[stream_];
        if (!s.store->prefetch(chunk, s.first_panel, s.panels)) return;
      }
      stream_ = 0;
      ++next_;
    }
  }

 private:
  bool on_;
  std::vector<Stream> streams_;
  std::vector<std::uint32_t> list_;  // empty: 0..count_-1
  std::size_t count_ = 0, next_ = 0, stream_ = 0;
};

}  // namespace strata
