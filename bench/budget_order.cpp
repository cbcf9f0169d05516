// Which budgets in which order, and the words of --train-options.
#include <algorithm>
#include <numeric>

#include "bench/budget.hpp"
#include "kernels/base/error.hpp"

namespace strata::bench {

std::vector<std::uint64_t> halving_budgets(std::uint64_t everything, std::uint64_t least) {
  constexpr std::uint64_t kMiB = 1 << 20;
  STRATA_ASSERT(least > 0);
  std::vector<std::uint64_t> budgets;
  for (std::uint64_t budget = (std::max(everything, least) + kMiB - 1) / kMiB * kMiB; budget > least; budget /= 2) {
    budgets.push_back(budget);
  }
  // A last half that is almost the least gives way to it.
  if (budgets.size() > 1 && budgets.back() - least < least / 10) budgets.pop_back();
  budgets.push_back(least);
  return budgets;
}

std::vector<std::size_t> round_order(std::size_t count, std::size_t round) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (count == 0) return order;
  std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(round / 2 % count), order.end());
  if (round % 2 == 1) std::reverse(order.begin(), order.end());
  return order;
}

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  bool inside = false;  // a word has begun, empty as it may be
  char quote = 0;
  for (const char c : text) {
    if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      if (!inside) words.emplace_back();
      inside = true;
    } else if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      inside = false;
    } else {
      if (!inside) words.emplace_back();
      inside = true;
      words.back() += c;
    }
  }
  if (quote != 0) throw UsageError(std::string("--train-options: a quote ") + quote + " stays open");
  return words;
}

}  // namespace strata::bench
