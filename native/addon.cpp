#include <napi.h>

#include "bindings/adversarial.h"
#include "bindings/discriminator.h"
#include "bindings/environment.h"
#include "bindings/flow.h"
#include "bindings/flow_trainer.h"
#include "bindings/generator.h"
#include "bindings/image.h"
#include "bindings/inception.h"
#include "bindings/info.h"
#include "bindings/kernels.h"
#include "bindings/mapped_file.h"
#include "bindings/masking.h"
#include "bindings/metrics.h"
#include "bindings/perceptual.h"
#include "bindings/probe.h"
#include "bindings/profile.h"
#include "bindings/random.h"
#include "bindings/resample.h"
#include "bindings/sampler.h"
#include "bindings/teacher.h"
#include "bindings/tensor.h"
#include "bindings/tokenizer.h"
#include "bindings/tokenizer_trainer.h"
#include "bindings/torch_archive.h"
#include "runtime/cpu_memory.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  mactok::cache_cpu_memory();
  mactok::Environment::attach(env);
  mactok::define_info_functions(env, exports);
  mactok::define_random_functions(env, exports);
  mactok::define_profile_functions(env, exports);
  mactok::define_image_functions(env, exports);
  mactok::TensorHandle::define(env);
  mactok::define_tensor_functions(env, exports);
  mactok::MappedFileHandle::define(env, exports);
  mactok::define_torch_archive_functions(env, exports);
  mactok::define_mask_functions(env, exports);
  mactok::define_kernel_functions(env, exports);
  mactok::define_resample_functions(env, exports);
  mactok::TokenizerHandle::define(env, exports);
  mactok::TeacherHandle::define(env, exports);
  mactok::PerceptualHandle::define(env, exports);
  mactok::InceptionHandle::define(env, exports);
  mactok::MomentsHandle::define(env, exports);
  mactok::define_metric_functions(env, exports);
  mactok::define_adversarial_functions(env, exports);
  mactok::define_probe_functions(env, exports);
  mactok::DiscriminatorHandle::define(env, exports);
  mactok::TokenizerTrainerHandle::define(env, exports);
  mactok::GeneratorHandle::define(env, exports);
  mactok::define_flow_functions(env, exports);
  mactok::SamplerHandle::define(env, exports);
  mactok::FlowTrainerHandle::define(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, initialize)
