#include <cuda_runtime_api.h>

#include <utility>

#include "kernels/base/cuda_error.hpp"
#include "kernels/base/device.hpp"
#include "kernels/base/error.hpp"

namespace strata::cuda {
namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

void check(cudaError_t status, const char* action) {
  if (status == cudaSuccess) return;
  const std::string message = std::string("CUDA: cannot ") + action + ": " + cudaGetErrorString(status);
  static_cast<void>(cudaGetLastError());  // a failed launch must not be reported again by the next call
  if (status == cudaErrorMemoryAllocation) throw ResourceError(message);
  throw Error(ExitStatus::internal, message);
}

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  static_cast<void>(cudaGetLastError());
  return 0;
}

std::string runtime_description() {
  int runtime = 0;
  int driver = 0;
  check(cudaRuntimeGetVersion(&runtime), "ask for the runtime's version");
  std::string text = "CUDA runtime " + version_text(runtime);
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return text + ", no driver";
  text += ", driver " + version_text(driver);
  if (device_count() == 0) return text + ", no device";
  int device = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device), "ask for the current device");
  check(cudaGetDeviceProperties(&properties, device), "ask for the device's properties");
  return text + ", " + properties.name + " (sm_" + std::to_string(properties.major) + std::to_string(properties.minor) +
         ", " + format_bytes(properties.totalGlobalMem) + ")";
}

Stream::Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "create a stream"); }
Stream::Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
Stream& Stream::operator=(Stream&& other) noexcept {
  if (this != &other) {
    release();
    stream_ = std::exchange(other.stream_, nullptr);
  }
  return *this;
}
void Stream::release() {
  if (stream_ != nullptr) static_cast<void>(cudaStreamDestroy(stream_));
  stream_ = nullptr;
}
void Stream::synchronize() const { check(cudaStreamSynchronize(stream_), "finish the work on a stream"); }

Event::Event() { check(cudaEventCreate(&event_), "create an event"); }
Event::Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
Event& Event::operator=(Event&& other) noexcept {
  if (this != &other) {
    release();
    event_ = std::exchange(other.event_, nullptr);
  }
  return *this;
}
void Event::release() {
  if (event_ != nullptr) static_cast<void>(cudaEventDestroy(event_));
  event_ = nullptr;
}
void Event::record(StreamView stream) { check(cudaEventRecord(event_, stream), "record an event"); }
void Event::block(StreamView stream) const { check(cudaStreamWaitEvent(stream, event_, 0), "wait for an event"); }
void Event::synchronize() const { check(cudaEventSynchronize(event_), "finish the work before an event"); }
float Event::milliseconds_since(const Event& earlier) const {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, earlier.event_, event_), "read the time between events");
  return milliseconds;
}

DeviceBuffer::DeviceBuffer(MemoryBudget& budget, std::size_t bytes, const std::string& what, StreamView stream)
    : reservation_(budget.reserve(bytes, what)), size_(bytes), stream_(stream) {
  if (bytes == 0) return;
  void* memory = nullptr;
  check(cudaMallocAsync(&memory, bytes, stream), ("allocate " + format_bytes(bytes) + " for " + what).c_str());
  data_ = static_cast<std::byte*>(memory);
}
DeviceBuffer::DeviceBuffer(DeviceBuffer&& other) noexcept
    : reservation_(std::move(other.reservation_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      stream_(std::exchange(other.stream_, nullptr)) {}
DeviceBuffer& DeviceBuffer::operator=(DeviceBuffer&& other) noexcept {
  if (this != &other) {
    release();
    reservation_ = std::move(other.reservation_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    stream_ = std::exchange(other.stream_, nullptr);
  }
  return *this;
}
void DeviceBuffer::release() {
  if (data_ != nullptr) static_cast<void>(cudaFreeAsync(data_, stream_));
  data_ = nullptr;
  size_ = 0;
  reservation_.release();
}

void copy_to_device(void* device, const void* host, std::size_t bytes, StreamView stream) {
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream), "copy to the device");
}
void copy_to_host(void* host, const void* device, std::size_t bytes, StreamView stream) {
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream), "copy to the host");
}
void copy_on_device(void* to, const void* from, std::size_t bytes, StreamView stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream), "copy on the device");
}
void clear_on_device(void* device, std::size_t bytes, StreamView stream) {
  check(cudaMemsetAsync(device, 0, bytes, stream), "clear device memory");
}

}  // namespace strata::cuda
