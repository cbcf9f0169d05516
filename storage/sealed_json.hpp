// JSON manifests that notice a flipped byte anywhere in themselves: the last member of the object is the checksum of
// all the text before it (FORMAT.md, "Manifests").
#pragma once

#include <filesystem>
#include <string>

namespace strata {

// object_text: a JSON object with at least one member, ending in "\n}" (an indented dump).
[[nodiscard]] std::string seal_json(std::string object_text);
// DamagedError unless seal_json wrote this text.
void check_sealed_json(const std::filesystem::path& path, const std::string& text);

}  // namespace strata
