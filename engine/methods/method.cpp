#include "engine/methods/method.hpp"

#include "engine/methods/full.hpp"
#include "engine/methods/iglu.hpp"
#include "engine/methods/inductive.hpp"
#include "engine/methods/sgc.hpp"

namespace strata {

namespace {

template <class T>
std::unique_ptr<Method<T>> method_of(Session<T>& session) {
  switch (session.options.method) {
    case MethodKind::full: return std::make_unique<FullMethod<T>>(session);
    case MethodKind::iglu: return std::make_unique<IgluMethod<T>>(session);
    case MethodKind::sgc: return std::make_unique<SgcMethod<T>>(session);
  }
  return nullptr;
}

}  // namespace

template <class T>
std::unique_ptr<Method<T>> make_method(Session<T>& session) {
  std::unique_ptr<Method<T>> method = method_of(session);
  if (!session.inductive) return method;
  return std::make_unique<InductiveMethod<T>>(session, std::move(method));
}

template std::unique_ptr<Method<float>> make_method(Session<float>&);
template std::unique_ptr<Method<double>> make_method(Session<double>&);

}  // namespace strata
