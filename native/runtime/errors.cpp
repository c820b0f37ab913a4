#include "runtime/errors.h"

#include <c10/util/Exception.h>

#include <new>
#include <stdexcept>

namespace mactok {
namespace {

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

ErrorReport describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const c10::OutOfMemoryError& e) {
    return {"OUT_OF_MEMORY", first_line(e.what_without_backtrace())};
  } catch (const c10::Error& e) {
    const auto message = first_line(e.what_without_backtrace());
    const bool memory = message.find("can't allocate memory") != std::string::npos;
    return {memory ? "OUT_OF_MEMORY" : "LIBTORCH", message};
  } catch (const std::invalid_argument& e) {
    return {"INVALID_ARGUMENT", first_line(e.what())};
  } catch (const std::bad_alloc&) {
    return {"OUT_OF_MEMORY", "Out of memory"};
  } catch (const std::exception& e) {
    return {"NATIVE", first_line(e.what())};
  } catch (...) {
    return {"NATIVE", "Unknown native error"};
  }
}

}  // namespace mactok
