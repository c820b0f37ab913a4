#pragma once

// What LibTorch's headers name of cuBLAS, whose own headers are in a package of 500 MB.
typedef struct cublasContext* cublasHandle_t;
enum cublasStatus_t : int;
