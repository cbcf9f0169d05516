// A build without liburing.
#include "storage/async_io_backend.hpp"

namespace strata {

std::unique_ptr<IoBackend> make_uring_backend(unsigned) { return nullptr; }

}  // namespace strata
