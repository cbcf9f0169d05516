// The options of strata-train, declared: names, defaults and help. train_options.cpp turns their values into
// TrainOptions.
#pragma once

#include <boost/program_options.hpp>
#include <span>
#include <string>

namespace strata {

// What --help prints before the options.
[[nodiscard]] std::string train_usage();

// Every option of the contract, grouped.
[[nodiscard]] boost::program_options::options_description declare_train_options();

// An option of the contract that belongs to a method or model this version does not have: it is recognised, and refused
// unless it has its default value.
struct ForeignOption {
  const char* name;
  const char* value_name;
  const char* standard;
  const char* belongs_to;
};
[[nodiscard]] std::span<const ForeignOption> foreign_train_options();

}  // namespace strata
