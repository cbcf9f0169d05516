// The dense half of a layer that transforms before it aggregates, A (X W^T): used where the layer narrows, since the
// sparse product then runs on fewer columns. U = X W^T goes through the graph; on the way back V = A^T Delta comes out
// of it.
#pragma once

#include "engine/external_spmm.hpp"
#include "engine/session.hpp"

namespace strata {

// u <- X W^T, all rows.
template <class T>
void project_forward(Session<T>& session, std::size_t layer, const RowStore& x, const RowSink<T>& u);

// Adds V^T X to the gradient of W, and writes V W (+ add: rows of another map, or below itself) to `below`.
template <class T>
void project_backward(Session<T>& session, std::size_t layer, const RowStore& x, const RowStore& v,
                      const RowSource& add, RowStore& below);

}  // namespace strata
