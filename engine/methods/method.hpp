// A method is a schedule over aggregate and transform: which rows are fresh, which come from a row store, what is
// written back, which parameters step. It does nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/batches.hpp"
#include "engine/row_source.hpp"
#include "engine/session.hpp"

namespace strata {

// Told to an observer after every optimiser step.
struct StepEvent {
  std::uint32_t epoch = 0;  // from 1
  std::uint64_t step = 0;   // from 1, over the whole run
  std::string group;        // "all", "layer1", ..., "head"
  double loss =
      0;  // full and top groups: mean training loss of the batch, before the step; hidden IGLU groups: the
          // linearised objective sum over the batch of <alpha^k_i, X^k_i>, without the residual's constant part
};

template <class T>
struct StepObserver {
  // Called with the gradients of the step in parameters.gradients(), before the parameters change. May be empty.
  std::function<void(const StepEvent&, const Parameters<T>&)> before_step;
  std::function<void(const StepEvent&, const Parameters<T>&)> after_step;
  // Called now and then with the fraction of the epoch done, in [0, 1], for progress display. May be empty.
  std::function<void(double)> progress;
};

struct EpochReport {
  double loss = 0;  // mean training loss: for full that of the epoch's forward (dropout on); for iglu and sgc mean over
                    // the top group's steps
  std::uint64_t steps = 0;
  std::uint64_t node_visits = 0;  // rows pushed through parameter steps
};

template <class T>
class Method {
 public:
  virtual ~Method() = default;
  // The initial sweep. Called once before the first epoch, and again after parameters were replaced (resume, init).
  virtual void prepare() = 0;
  // epoch counts from 1. batches: explicit ones for this epoch (from --batch-file), or null for the method's own.
  virtual EpochReport train_epoch(std::uint32_t epoch, const EpochBatches* batches,
                                  const StepObserver<T>& observer) = 0;
  // Exact logits under the present parameters, dropout off, of the nodes that training and evaluation touch. Valid
  // until the next call of any member.
  virtual RowSource logits() = 0;
  // What logits() knows is not to be used again: rows it left may be gone (the plan drops what the schedule does not
  // read), so the next call computes them anew.
  virtual void forget_outputs() = 0;
  // Whether the next epoch, begun by prepare() from parameters, moments and step counter alone, gives the bits that it
  // gives now: only then may a checkpoint be written.
  [[nodiscard]] virtual bool at_boundary() const { return true; }
  // State to save in a checkpoint beside parameters and moments, and to restore: the global step counter.
  // Told before train_epoch: logits() will be asked for after it. A method that sweeps anyway then sweeps the rows of
  // evaluation along. Changes no weight.
  void expect_evaluation(bool expected) { evaluation_expected_ = expected; }
  // Epochs after which the passes repeat.
  [[nodiscard]] virtual std::uint32_t period() const { return 1; }
  [[nodiscard]] std::uint64_t global_step() const { return global_step_; }
  void set_global_step(std::uint64_t step) { global_step_ = step; }

 protected:
  bool evaluation_expected_ = true;
  std::uint64_t global_step_ = 0;
};

// What options.method names; for an inductive session evaluated on the full graph (inductive.hpp).
template <class T>
[[nodiscard]] std::unique_ptr<Method<T>> make_method(Session<T>& session);

}  // namespace strata
