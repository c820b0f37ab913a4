#include "runtime/autocast.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

namespace mactok {

Autocast::Autocast(at::DeviceType device, Precision precision)
    : device_(device),
      was_enabled_(at::autocast::is_autocast_enabled(device)),
      was_dtype_(at::autocast::get_autocast_dtype(device)),
      tf32_(device, precision == Precision::tf32) {
  at::autocast::increment_nesting();
  at::autocast::set_autocast_enabled(device, precision == Precision::bf16);
  at::autocast::set_autocast_dtype(device, at::kBFloat16);
}

Autocast::~Autocast() {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, was_enabled_);
  at::autocast::set_autocast_dtype(device_, was_dtype_);
}

Precision Autocast::current(at::DeviceType device) {
  if (at::autocast::is_autocast_enabled(device)) return Precision::bf16;
  const bool tf32 = device == at::kCUDA && at::globalContext().allowTF32CuBLAS();
  return tf32 ? Precision::tf32 : Precision::fp32;
}

}  // namespace mactok
