#pragma once

// What LibTorch's headers name of cuSPARSE.
typedef struct cusparseContext* cusparseHandle_t;
