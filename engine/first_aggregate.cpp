#include "engine/first_aggregate.hpp"

#include <string>

#include "engine/external_spmm.hpp"
#include "engine/session.hpp"
#include "kernels/base/error.hpp"
#include "storage/derived.hpp"

namespace strata {

namespace {

constexpr const char* kRows = "z.rows";

std::string key_of(bool training_graph, Aggregation aggregation, Codec codec, std::size_t power) {
  static constexpr const char* kNames[] = {"none", "sum", "mean", "row", "sym"};
  return std::string(training_graph ? "aggregate-train-" : "aggregate-") + kNames[static_cast<int>(aggregation)] + "-" +
         codec_name(codec) + (power > 1 ? "-power" + std::to_string(power) : "");
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

template <class T>
class FirstAggregate {
 public:
  FirstAggregate(Session<T>& session, GraphUse use)
      : session_(session),
        use_(use),
        trains_(session.inductive && use == GraphUse::training),
        name_(session.inductive && !trains_ ? "Z1 of the full graph" : "Z1") {}

  RowStore run() {
    const std::size_t hops = session_.model.layers.front().hops;
    std::size_t power = session_.options.codec == Codec::fp64 ? 0 : hops;
    while (power > 0 && !has_derived(session_.store, key(power))) --power;
    RowStore x = power > 0 ? attach_kept(key(power)) : RowStore();
    for (; power < hops; ++power) x = aggregated(power == 0 ? session_.features : x, key(power + 1));
    return x;
  }

 private:
  [[nodiscard]] std::string key(std::size_t power) const {
    return key_of(trains_, session_.model.layers.front().aggregation, session_.options.codec, power);
  }

  // A^power X^0, kept already.
  RowStore attach_kept(const std::string& kept) {
    return session_.buffers.attach(name_, RowFileReader(session_.store.derived_path(kept) / kRows, session_.budget));
  }

  // A x, kept under the key where the store can be written.
  RowStore aggregated(const RowStore& x, const std::string& kept) {
    RowStore z = session_.make_rows(name_, session_.nodes(), session_.store.info().feature_dim);
    if (session_.options.explain) return z;  // nothing will be read
    const RowMap& all = session_.sets.inputs(1);
    ExternalSpmm<T>(session_, "1", false, x.shape(), {&all, &all, {}}, {{RowPart::train, {}, &z}},
                    &session_.graph_for(use_))
        .run({{&x, 0}}, false);
    if (session_.options.codec == Codec::fp64) return z;  // verification
    try {
      keep(session_.store, kept, z, session_.budget);
    } catch (const Error& error) {
      // A store that cannot be written (read-only, full, being written by another run) serves as well, without the
      // copy.
      if (error.status() == ExitStatus::internal || error.status() == ExitStatus::damaged) throw;
      return z;
    }
    if (session_.plan.fits) return z;  // in memory already
    z.release();
    return attach_kept(kept);
  }

  Session<T>& session_;
  GraphUse use_;
  bool trains_;  // over the training graph of an inductive session
  const char* name_;
};

}  // namespace

template <class T>
RowStore first_aggregate(Session<T>& session, GraphUse use) {
  return FirstAggregate<T>(session, use).run();
}

template RowStore first_aggregate(Session<float>&, GraphUse);
template RowStore first_aggregate(Session<double>&, GraphUse);

}  // namespace strata
