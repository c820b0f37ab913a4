"""Operations of tensors (`lib/tensor`): dtype, shape and values of each call below, by PyTorch.

The metadata's `cases` has for each result `r.N` the input, its dtype, the method, its arguments (`{"tensor": …}` is an input, too)
and the dtype of the result.
"""

import json
import math

import torch
from golden import normal, pixels, save, signed

NAN, INF = math.nan, math.inf
INPUTS = {
    "a": normal(1, 3, 4),
    "b": normal(2, 4),
    "c": normal(3, 3, 1),
    "positive": normal(4, 3, 4).abs() + 0.1,
    "matrix": normal(5, 4, 2),
    "batch": normal(6, 2, 3, 4),
    "scalar": torch.tensor(1.25, dtype=torch.float64),
    "whole": torch.tensor([[3, -1, 4, 1], [-5, 9, -2, 6], [5, 3, 5, 8]]),
    "counts": torch.tensor([7, 2, 1, 8]),
    "odd": torch.tensor([[NAN, 1.5, INF, -INF], [-0.5, 0.5, 2.5, NAN], [0.0, -1.5, 3.5, 1e30]], dtype=torch.float64),
    "logits": normal(7, 5, 6) * 4,
    "images": signed(pixels(8, 2, 9, 12)),
}
DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

cases: list[dict] = []
results: dict[str, torch.Tensor] = {}


def t(name: str, dtype: str | None = None) -> dict:
    """An input, in this dtype; float32 or int64 without."""
    return {"tensor": name, "dtype": dtype or ("float32" if INPUTS[name].is_floating_point() else "int64")}


def given(source: dict, exact: bool) -> torch.Tensor:
    """An input; float32 as float64 where values count, so that they are rounded once."""
    dtype = DTYPES[source["dtype"]]
    tensor = INPUTS[source["tensor"]].to(dtype)
    return tensor.double() if exact and dtype == torch.float32 else tensor


def case(function, this: dict, method: str, *arguments: object) -> None:
    """`arguments` are those of our method; `function` is PyTorch's, and gets the tensors among them."""
    tensors = [this, *(a for a in arguments if isinstance(a, dict) and "tensor" in a)]
    typed = function(*(given(source, False) for source in tensors))
    exact = function(*(given(source, True) for source in tensors))
    result = exact if typed.dtype == torch.float32 else typed
    results[f"r.{len(cases)}"] = result if result.is_floating_point() else result.long()
    cases.append({"this": this, "method": method, "arguments": arguments, "dtype": NAMES[typed.dtype]})


def define() -> None:
    a, b, c, odd, whole, counts = t("a"), t("b"), t("c"), t("odd"), t("whole"), t("counts")
    # Every pair of dtypes, beside each other and beside numbers.
    for first in DTYPES:
        for second in DTYPES:
            case(torch.add, t("whole", first), "add", t("counts", second))
        case(lambda x: x * 3, t("counts", first), "mul", 3)
        case(lambda x: x * 0.5, t("counts", first), "mul", 0.5)
        case(torch.div, t("counts", first), "div", t("counts", first))
        case(lambda x: x.sum(), t("counts", first), "sum")
        case(torch.exp, t("counts", first), "exp")
        case(lambda x: x > 1, t("counts", first), "gt", 1)
    for name in ("add", "sub", "mul", "div", "minimum", "maximum", "eq", "ne", "lt", "le", "gt", "ge"):
        for left, right in ((a, b), (b, c), (a, odd), (odd, odd), (whole, counts), (a, t("scalar"))):
            case(getattr(torch, name), left, name, right)
    case(torch.pow, t("positive"), "pow", b)
    case(lambda x: x**2, whole, "pow", 2)
    case(lambda x: x**0.5, odd, "pow", 0.5)
    case(lambda x, y: x.logical_and(y), whole, "and", t("counts", "bool"))
    case(lambda x, y: x.logical_or(y), odd, "or", a)
    case(torch.logical_not, odd, "not")
    for name in ("neg", "abs", "exp", "sqrt", "log", "sin", "cos", "tanh", "sigmoid", "floor", "ceil", "round"):
        for this in (a, t("positive"), *(() if name in ("sin", "cos") else (odd,))):
            case(getattr(torch, name), this, name)
    case(torch.isnan, odd, "isNaN")
    case(torch.isfinite, odd, "isFinite")
    case(lambda x: x.clamp(-1, 1), odd, "clamp", -1, 1)
    case(lambda x: x.clamp(min=0.5), a, "clamp", 0.5)
    case(lambda x: x.clamp(max=0), whole, "clamp", None, 0)
    case(lambda x: x.clamp(max=2.5), whole, "clamp", None, 2.5)
    case(lambda x, y, z: torch.where(x, y, z), t("whole", "bool"), "where", odd, a)
    case(lambda x, y: torch.where(x, y, 0), t("counts", "bool"), "where", whole, 0)

    for keepdim in (False, True):
        keep = {"keepdim": keepdim}
        for name in ("sum", "mean", "std"):
            for this, dims in ((a, 0), (a, -1), (t("batch"), [0, 2]), (t("batch"), [0, 1, 2]), (odd, 1)):
                function = lambda x, n=name, d=dims: getattr(torch, n)(x, dim=d, keepdim=keepdim)
                case(lambda x, f=function: f(x), this, name, dims, keep)
        for name, peer in (("min", torch.amin), ("max", torch.amax)):
            for this, dims in ((a, 0), (t("batch"), [0, 2]), (odd, 1), (whole, 1)):
                case(lambda x, p=peer, d=dims: p(x, dim=d, keepdim=keepdim), this, name, dims, keep)
        for name in ("argmin", "argmax"):
            for this, dim in ((a, 0), (whole, -1), (odd, 0)):
                case(lambda x, n=name, d=dim: getattr(torch, n)(x, dim=d, keepdim=keepdim), this, name, dim, keep)
        for name in ("any", "all"):
            case(lambda x, n=name: getattr(torch, n)(x.bool(), dim=1, keepdim=keepdim), odd, name, 1, keep)
        for order in (0, 1, 2, 3, INF):
            case(
                lambda x, p=order: torch.linalg.vector_norm(x, p, dim=(0, 2), keepdim=keepdim),
                t("batch"), "norm", [0, 2], {"order": "Infinity" if order == INF else order, **keep},
            )
    case(lambda x: torch.std(x, dim=0, correction=0), a, "std", 0, {"correction": 0})
    for name in ("mean", "std", "min", "max", "argmax"):
        case(getattr(torch, name), a, name)

    case(lambda x: x[-1], a, "at", -1)
    case(lambda x: x[1:3, ::2], a, "at", [1, 3], [None, None, 2])
    case(lambda x: x[:, -3:, 1], t("batch"), "at", None, [-3, None], 1)
    case(lambda x: x[1, :, 1:4:2], t("batch"), "at", 1, None, [1, 4, 2])
    case(lambda x: x.permute(2, 0, 1), t("batch"), "permute", [2, 0, 1])
    case(lambda x: x.permute(-1, 0, 1), t("batch"), "permute", [-1, 0, 1])
    case(lambda x: x.transpose(-1, -2), t("batch"), "transpose")
    case(lambda x: x.transpose(0, 2), t("batch"), "transpose", 0, 2)
    case(lambda x: x.squeeze(), c, "squeeze")
    case(lambda x: x.unsqueeze(-1), a, "unsqueeze", -1)
    case(lambda x: x.unsqueeze(0), a, "unsqueeze", 0)
    case(lambda x: x.expand(2, 3, 4), c, "expand", [2, 3, 4])
    case(lambda x: x.flip(0, 2), t("batch"), "flip", [0, 2])

    for left, right in (("a", "matrix"), ("batch", "matrix"), ("b", "matrix"), ("a", "b"), ("b", "b"), ("batch", "b")):
        case(torch.matmul, t(left), "matmul", t(right))
    case(torch.matmul, t("batch", "float64"), "matmul", t("matrix", "float64"))
    case(torch.matmul, whole, "matmul", counts)
    for dim in (0, -1):
        case(lambda x, d=dim: x.softmax(d), t("logits"), "softmax", dim)
    case(lambda x: x.softmax(-1), t("logits", "bfloat16"), "softmax", -1)

    for size in ([5, 7], [18, 24], [4, 30]):
        for mode in ("nearest", "bilinear", "bicubic"):
            for antialias in (False, True) if mode != "nearest" else (False,):
                case(
                    lambda x, s=size, m=mode, aa=antialias: torch.nn.functional.interpolate(
                        x, size=s, mode=m, antialias=aa, **({} if m == "nearest" else {"align_corners": False})
                    ),
                    t("images"), "interpolate", size, {"mode": mode, "antialias": antialias},
                )


def make() -> None:
    cases.clear()
    results.clear()
    define()
    save("operations", INPUTS | results, "torch: the calls in operations.py", cases=json.dumps(cases))
