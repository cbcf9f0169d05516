#include "kernels/base/device.hpp"
#include "kernels/base/error.hpp"

namespace strata::cuda {
namespace {
[[noreturn]] void refuse() {
  throw UsageError("this build has no CUDA bodies: use --device cpu, or configure with -DSTRATA_CUDA=ON");
}
}  // namespace

int device_count() { return 0; }
std::string runtime_description() { return "built without CUDA"; }

Stream::Stream() { refuse(); }
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;
void Stream::release() {}
void Stream::synchronize() const {}

Event::Event() { refuse(); }
Event::Event(Event&&) noexcept = default;
Event& Event::operator=(Event&&) noexcept = default;
void Event::release() {}
void Event::record(StreamView) {}
void Event::block(StreamView) const {}
void Event::synchronize() const {}
float Event::milliseconds_since(const Event&) const { return 0; }

DeviceBuffer::DeviceBuffer(MemoryBudget&, std::size_t, const std::string&, StreamView) { refuse(); }
DeviceBuffer::DeviceBuffer(DeviceBuffer&&) noexcept = default;
DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&&) noexcept = default;
void DeviceBuffer::release() {}

void copy_to_device(void*, const void*, std::size_t, StreamView) { refuse(); }
void copy_to_host(void*, const void*, std::size_t, StreamView) { refuse(); }
void copy_on_device(void*, const void*, std::size_t, StreamView) { refuse(); }
void clear_on_device(void*, std::size_t, StreamView) { refuse(); }

}  // namespace strata::cuda
