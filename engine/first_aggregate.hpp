// Z^1 = A X^0: the features never change, so it is computed once per store, normalisation and codec, and kept in
// STORE/derived for later runs (design section 5). A training graph has its own. For SGC it is A^K X^0, and every power
// on the way is kept.
#pragma once

#include <cstdint>

#include "storage/buffer_manager.hpp"

namespace strata {

template <class T>
class Session;
enum class GraphUse : std::uint8_t;

// Attached from STORE/derived, or computed now and, where the store can be written, left there for the next run.
template <class T>
[[nodiscard]] RowStore first_aggregate(Session<T>& session, GraphUse use);

}  // namespace strata
