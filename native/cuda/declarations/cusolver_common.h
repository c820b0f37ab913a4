#pragma once

// What LibTorch's headers name of cuSOLVER.
enum cusolverStatus_t : int;
