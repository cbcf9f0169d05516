// SGC (Wu et al. 2019): a linear classifier on A^K X^0. The K products run once per store and are kept in
// STORE/derived; what is left is a dense model, trained in mini-batches over the training nodes like the top group of
// IGLU, one group named "head". Evaluation reads and writes only the chunks of rows that hold nodes of a split.
#pragma once

#include <span>
#include <vector>

#include "engine/methods/layer_steps.hpp"
#include "engine/methods/method.hpp"

namespace strata {

template <class T>
class SgcMethod final : public Method<T> {
 public:
  explicit SgcMethod(Session<T>& session);
  void prepare() override { fresh_ = Fresh::nothing; }
  EpochReport train_epoch(std::uint32_t epoch, const EpochBatches* batches, const StepObserver<T>& observer) override;
  const RowStore& logits() override;
  const RowStore& split_logits() override;
  const RowStore& embeddings() override { return session_.aggregate; }  // A^K X^0
  [[nodiscard]] std::span<const std::uint32_t> split_chunks() const { return split_chunks_; }

 private:
  // Which rows of the logits belong to the present parameters.
  enum class Fresh : std::uint8_t { nothing, splits, all };

  Session<T>& session_;
  RowStore logits_;
  LayerSteps<T> steps_;
  std::vector<std::uint32_t> split_chunks_;  // ascending
  Fresh fresh_ = Fresh::nothing;
};

extern template class SgcMethod<float>;
extern template class SgcMethod<double>;

}  // namespace strata
