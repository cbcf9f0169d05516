#include "engine/first_aggregate.hpp"

#include <string>

#include "engine/external_spmm.hpp"
#include "engine/session.hpp"
#include "kernels/base/error.hpp"
#include "storage/derived.hpp"

namespace strata {

namespace {

constexpr const char* kRows = "z.rows";

std::string key_of(Aggregation aggregation, Codec codec, std::size_t power) {
  static constexpr const char* kNames[] = {"none", "sum", "mean", "row", "sym"};
  return std::string("aggregate-") + kNames[static_cast<int>(aggregation)] + "-" + codec_name(codec) +
         (power > 1 ? "-power" + std::to_string(power) : "");
}

// Copies the tiles as they are: the kept rows are the computed ones, bit for bit.
void keep(const Store& store, const std::string& key, const RowStore& z, MemoryBudget& budget) {
  DerivedWriter writer(store, key);
  RowFileWriter file(writer.path() / kRows, z.shape(), {}, budget);
  for (std::size_t chunk = 0; chunk < z.shape().chunks(); ++chunk) {
    for (std::size_t panel = 0; panel < z.shape().panels(); ++panel) {
      file.write_tile(chunk, panel, z.pin_read(chunk, panel).bytes());
    }
  }
  file.commit();
  writer.finish(R"({"what": "A X for layer 1, or a power of A for sgc"})");
}

// A^power X^0, kept already.
template <class T>
RowStore attach_kept(Session<T>& session, const std::string& key) {
  return session.buffers.attach("Z1", RowFileReader(session.store.derived_path(key) / kRows, session.budget));
}

// A x, kept under the key where the store can be written.
template <class T>
RowStore aggregated(Session<T>& session, const RowStore& x, const std::string& key) {
  RowStore z = session.make_rows("Z1", session.nodes(), session.store.info().feature_dim);
  if (session.options.explain) return z;  // nothing will be read
  const RowMap& all = session.sets.inputs(1);
  ExternalSpmm<T>(session, "1", false, x.shape(), {&all, &all, {}}, {{RowPart::train, {}, &z}}).run({{&x, 0}}, false);
  if (session.options.codec == Codec::fp64) return z;  // verification
  try {
    keep(session.store, key, z, session.budget);
  } catch (const Error& error) {
    // A store that cannot be written (read-only, full, being written by another run) serves as well, without the copy.
    if (error.status() == ExitStatus::internal || error.status() == ExitStatus::damaged) throw;
    return z;
  }
  if (session.plan.fits) return z;  // in memory already
  z.release();
  return attach_kept(session, key);
}

}  // namespace

template <class T>
RowStore first_aggregate(Session<T>& session) {
  const LayerSpec& layer = session.model.layers.front();
  const auto key = [&](std::size_t power) { return key_of(layer.aggregation, session.options.codec, power); };
  std::size_t power = session.options.codec == Codec::fp64 ? 0 : layer.hops;
  while (power > 0 && !has_derived(session.store, key(power))) --power;
  RowStore x = power > 0 ? attach_kept(session, key(power)) : RowStore();
  for (; power < layer.hops; ++power) x = aggregated(session, power == 0 ? session.features : x, key(power + 1));
  return x;
}

template RowStore first_aggregate(Session<float>&);
template RowStore first_aggregate(Session<double>&);

}  // namespace strata
