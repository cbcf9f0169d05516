#include "engine/first_aggregate.hpp"

#include "engine/session.hpp"

namespace strata {

template <class T>
RowStore first_aggregate(Session<T>& session) {
  RowStore z = session.make_rows("Z1", session.store.info().feature_dim);
  session.aggregate_rows(false, session.features, nullptr, z);
  return z;
}

template RowStore first_aggregate(Session<float>&);
template RowStore first_aggregate(Session<double>&);

}  // namespace strata
