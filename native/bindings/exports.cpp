#include "bindings/exports.h"

#include "bindings/discriminator.h"
#include "bindings/environment.h"
#include "bindings/flow_trainer.h"
#include "bindings/generator.h"
#include "bindings/image.h"
#include "bindings/inception.h"
#include "bindings/info.h"
#include "bindings/mapped_file.h"
#include "bindings/masking.h"
#include "bindings/metrics.h"
#include "bindings/operations.h"
#include "bindings/perceptual.h"
#include "bindings/positions.h"
#include "bindings/probe.h"
#include "bindings/process_group.h"
#include "bindings/profile.h"
#include "bindings/random.h"
#include "bindings/sampler.h"
#include "bindings/teacher.h"
#include "bindings/tensor.h"
#include "bindings/tokenizer.h"
#include "bindings/tokenizer_trainer.h"
#include "bindings/torch_archive.h"
#include "runtime/cpu_memory.h"

namespace mactok {

void define_exports(Napi::Env env, Napi::Object exports) {
  cache_cpu_memory();
  Environment::attach(env);
  define_info_functions(env, exports);
  define_random_functions(env, exports);
  define_profile_functions(env, exports);
  ProcessGroupHandle::define(env, exports);
  define_image_functions(env, exports);
  TensorHandle::define(env);
  define_tensor_functions(env, exports);
  define_operation_functions(env, exports);
  MappedFileHandle::define(env, exports);
  define_torch_archive_functions(env, exports);
  define_mask_functions(env, exports);
  define_position_functions(env, exports);
  TokenizerHandle::define(env, exports);
  TeacherHandle::define(env, exports);
  PerceptualHandle::define(env, exports);
  InceptionHandle::define(env, exports);
  MomentsHandle::define(env, exports);
  define_metric_functions(env, exports);
  define_probe_functions(env, exports);
  DiscriminatorHandle::define(env, exports);
  TokenizerTrainerHandle::define(env, exports);
  GeneratorHandle::define(env, exports);
  SamplerHandle::define(env, exports);
  FlowTrainerHandle::define(env, exports);
}

}  // namespace mactok
