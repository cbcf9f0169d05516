#include <cublas_v2.h>

#include <algorithm>
#include <string>

#include "kernels/base/cuda_launch.hpp"
#include "kernels/base/error.hpp"
#include "kernels/linear_cuda.hpp"

namespace strata::cuda {
namespace {

void check_cublas(cublasStatus_t status, const char* action) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string message = std::string("cuBLAS: cannot ") + action + ": " + cublasGetStatusString(status);
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw ResourceError(message);
  throw Error(ExitStatus::internal, message);
}

class Handle {
 public:
  Handle() {
    check_cublas(cublasCreate(&handle_), "create a handle");
    check_cublas(cublasSetMathMode(handle_, CUBLAS_PEDANTIC_MATH), "select plain fp32");
    check_cublas(cublasSetAtomicsMode(handle_, CUBLAS_ATOMICS_NOT_ALLOWED), "forbid atomics");
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { static_cast<void>(cublasDestroy(handle_)); }

  static cublasHandle_t on(StreamView stream) {
    static thread_local Handle handle;
    check_cublas(cublasSetStream(handle.handle_, stream), "select a stream");
    return handle.handle_;
  }

 private:
  cublasHandle_t handle_ = nullptr;
};

struct Operand {
  cublasOperation_t operation;
  MatrixView<const float> matrix;
};

// c = op(a) op(b), row-major, computed as its transpose: to cuBLAS a row-major matrix is its own transpose,
// column-major.
void multiply(const Operand& a, const Operand& b, std::size_t depth, MatrixView<float> c, bool accumulate,
              StreamView stream) {
  if (c.rows == 0 || c.cols == 0) return;
  const float one = 1;
  const float beta = accumulate ? 1.0f : 0.0f;
  const auto leading = [](const auto& m) { return static_cast<int>(std::max<std::size_t>({m.stride, m.cols, 1})); };
  check_cublas(cublasSgemm(Handle::on(stream), b.operation, a.operation, static_cast<int>(c.cols),
                           static_cast<int>(c.rows), static_cast<int>(depth), &one, b.matrix.data, leading(b.matrix),
                           a.matrix.data, leading(a.matrix), &beta, c.data, leading(c)),
               "multiply matrices");
}

__global__ void clear_kernel(MatrixView<float> m) {
  const std::size_t t = thread_index();
  if (t < m.rows * m.cols) m.data[t / m.cols * m.stride + t % m.cols] = 0;
}

// A product over no terms, which cuBLAS leaves to the caller.
void empty_product(MatrixView<float> c, bool accumulate, StreamView stream) {
  if (accumulate || c.rows * c.cols == 0) return;
  clear_kernel<<<blocks_for(c.rows * c.cols), kThreads, 0, stream>>>(c);
  check_launch("launch clear");
}

__global__ void add_bias_kernel(const float* bias, MatrixView<float> y) {
  const std::size_t t = thread_index();
  if (t < y.rows * y.cols) y.data[t / y.cols * y.stride + t % y.cols] += bias[t % y.cols];
}

__global__ void column_sums_kernel(MatrixView<const float> dy, float* db, bool accumulate) {
  const std::size_t c = thread_index();
  if (c >= dy.cols) return;
  double sum = 0;
  for (std::size_t i = 0; i < dy.rows; ++i) sum += static_cast<double>(dy.data[i * dy.stride + c]);
  const float rounded = static_cast<float>(sum);
  db[c] = accumulate ? db[c] + rounded : rounded;
}

}  // namespace

void linear_forward(MatrixView<const float> x, MatrixView<const float> w, const float* bias, MatrixView<float> y,
                    bool accumulate, StreamView stream) {
  if (x.cols == 0) {
    empty_product(y, accumulate, stream);
  } else {
    multiply({CUBLAS_OP_N, x}, {CUBLAS_OP_T, w}, x.cols, y, accumulate, stream);
  }
  if (bias == nullptr || y.rows * y.cols == 0) return;
  add_bias_kernel<<<blocks_for(y.rows * y.cols), kThreads, 0, stream>>>(bias, y);
  check_launch("launch add_bias");
}

void linear_backward_input(MatrixView<const float> dy, MatrixView<const float> w, MatrixView<float> dx, bool accumulate,
                           StreamView stream) {
  if (dy.cols == 0) return empty_product(dx, accumulate, stream);
  multiply({CUBLAS_OP_N, dy}, {CUBLAS_OP_N, w}, dy.cols, dx, accumulate, stream);
}

void linear_backward_weight(MatrixView<const float> dy, MatrixView<const float> x, MatrixView<float> dw,
                            bool accumulate, StreamView stream) {
  if (dy.rows == 0) return empty_product(dw, accumulate, stream);
  multiply({CUBLAS_OP_T, dy}, {CUBLAS_OP_N, x}, dy.rows, dw, accumulate, stream);
}

void linear_backward_bias(MatrixView<const float> dy, float* db, bool accumulate, StreamView stream) {
  if (dy.cols == 0) return;
  column_sums_kernel<<<blocks_for(dy.cols), kThreads, 0, stream>>>(dy, db, accumulate);
  check_launch("launch linear_backward_bias");
}

}  // namespace strata::cuda
