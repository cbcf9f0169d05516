#include "engine/first_aggregate.hpp"

#include <string>

#include "engine/external_spmm.hpp"
#include "engine/session.hpp"
#include "kernels/base/error.hpp"
#include "storage/derived.hpp"

namespace strata {

namespace {

constexpr const char* kRows = "z.rows";

std::string key_of(Aggregation aggregation, Codec codec) {
  static constexpr const char* kNames[] = {"none", "sum", "mean", "row", "sym"};
  return std::string("aggregate-") + kNames[static_cast<int>(aggregation)] + "-" + codec_name(codec);
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
  writer.finish(R"({"what": "A X for layer 1"})");
}

}  // namespace

template <class T>
RowStore first_aggregate(Session<T>& session) {
  const Codec codec = session.options.codec;
  const std::string key = key_of(session.model.layers.front().aggregation, codec);
  const auto attach_kept = [&] {
    return session.buffers.attach("Z1", RowFileReader(session.store.derived_path(key) / kRows, session.budget));
  };
  const bool verification = codec == Codec::fp64;
  if (!verification && has_derived(session.store, key)) return attach_kept();
  RowStore z = session.make_rows("Z1", session.store.info().feature_dim);
  if (session.options.explain) return z;  // nothing will be read
  ExternalSpmm<T>(session, "1", false, session.features.shape(), nullptr, z).run(&session.features, false);
  if (verification) return z;
  try {
    keep(session.store, key, z, session.budget);
  } catch (const Error& error) {
    // A store that cannot be written (read-only, full, being written by another run) serves as well, without the copy.
    if (error.status() == ExitStatus::internal || error.status() == ExitStatus::damaged) throw;
    return z;
  }
  if (session.plan.fits) return z;  // in memory already
  z.release();
  return attach_kept();
}

template RowStore first_aggregate(Session<float>&);
template RowStore first_aggregate(Session<double>&);

}  // namespace strata
