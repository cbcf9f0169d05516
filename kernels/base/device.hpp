// CUDA devices as host code sees them: a query, and move-only owners of device memory, streams and events.
// base/device_cuda.cpp implements it with the CUDA runtime; base/device_absent.cpp is its twin for builds without, in
// which there is no device and every constructor throws UsageError. No CUDA header is needed to use this one.
#pragma once

#include <cstddef>
#include <string>

#include "kernels/base/budget.hpp"

struct CUstream_st;  // what cudaStream_t points to
struct CUevent_st;

namespace strata::cuda {

using StreamView = CUstream_st*;  // never null: every asynchronous function takes the stream it runs on

// Devices that can be used now; 0 without CUDA, without a driver, or without a device.
int device_count();
// One line for summary.json: runtime and driver versions and the device's name, or why there is none.
std::string runtime_description();

class Stream {
 public:
  Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  ~Stream() { release(); }
  [[nodiscard]] StreamView view() const { return stream_; }
  void synchronize() const;  // waits for all work on it, throws what that work failed with

 private:
  void release();
  StreamView stream_ = nullptr;
};

// A point in a stream that other streams, or the host, can wait for.
class Event {
 public:
  Event();
  Event(Event&& other) noexcept;
  Event& operator=(Event&& other) noexcept;
  ~Event() { release(); }
  void record(StreamView stream);
  void block(StreamView stream) const;  // later work on `stream` waits for the recorded point
  void synchronize() const;
  [[nodiscard]] float milliseconds_since(const Event& earlier) const;  // both complete

 private:
  void release();
  CUevent_st* event_ = nullptr;
};

// Uninitialised device memory charged to a budget of its own. Allocation and release are ordered on `stream`, which
// must outlive the buffer.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(MemoryBudget& budget, std::size_t bytes, const std::string& what, StreamView stream);
  DeviceBuffer(DeviceBuffer&& other) noexcept;
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept;
  ~DeviceBuffer() { release(); }
  void release();

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  template <class T>
  [[nodiscard]] T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  Reservation reservation_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  StreamView stream_ = nullptr;
};

// Asynchronous with respect to the host if the host memory is pinned, and ordered on `stream` in any case.
void copy_to_device(void* device, const void* host, std::size_t bytes, StreamView stream);
void copy_to_host(void* host, const void* device, std::size_t bytes, StreamView stream);
void copy_on_device(void* to, const void* from, std::size_t bytes, StreamView stream);
void clear_on_device(void* device, std::size_t bytes, StreamView stream);

}  // namespace strata::cuda
