#pragma once

#include "cusolver_common.h"

// What LibTorch's headers name of cuSOLVER.
typedef struct cusolverDnContext* cusolverDnHandle_t;
