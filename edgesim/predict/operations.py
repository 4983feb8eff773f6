"""ONNX's operations by what they cost: which are products, which move data, which are nothing at run time."""

from collections.abc import Mapping
from typing import Literal

Kind = Literal[
    "convolution", "pointwise convolution", "depthwise convolution", "matrix product", "quantized", "pooling",
    "reduction", "resize", "softmax", "element-wise", "transcendental", "data movement", "other",
]  # fmt: skip

KIND_OF: Mapping[str, Kind] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "FusedConv"), "convolution"),
    **dict.fromkeys(("Gemm", "MatMul", "FusedMatMul"), "matrix product"),
    **dict.fromkeys(
        (
            "QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger", "QGemm", "QuantizeLinear",
            "DequantizeLinear", "DynamicQuantizeLinear", "QLinearAdd", "QLinearMul", "QLinearGlobalAveragePool",
            "QLinearConcat", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearAveragePool", "QLinearSoftmax",
        ),
        "quantized",
    ),
    **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool"), "pooling"),
    **dict.fromkeys(
        (
            "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd", "ArgMax", "ArgMin", "TopK",
            "LayerNormalization", "InstanceNormalization", "GroupNormalization", "BatchNormalization", "LRN",
            "LpNormalization", "SkipLayerNormalization", "SimplifiedLayerNormalization", "CumSum",
        ),
        "reduction",
    ),
    **dict.fromkeys(("Resize", "Upsample", "GridSample"), "resize"),
    **dict.fromkeys(("Softmax", "LogSoftmax"), "softmax"),
    **dict.fromkeys(
        ("Sigmoid", "Tanh", "Erf", "Exp", "Log", "Gelu", "QuickGelu", "Softplus", "Mish", "Elu", "Selu", "Celu", "Pow",
         "Sin", "Cos", "Swish"),
        "transcendental",
    ),
    **dict.fromkeys(
        (
            "Add", "Sub", "Mul", "Div", "Relu", "LeakyRelu", "PRelu", "Clip", "HardSigmoid", "HardSwish", "Sqrt", "Neg",
            "Abs", "Reciprocal", "Min", "Max", "Sum", "Mean", "Floor", "Ceil", "Round", "Not", "And", "Or", "Greater",
            "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Softsign", "ThresholdedRelu", "Sign", "Mod", "Where",
            "IsNaN",
        ),
        "element-wise",
    ),
    **dict.fromkeys(
        (
            "Concat", "Transpose", "Slice", "Split", "Pad", "Gather", "GatherElements", "GatherND", "Expand", "Tile",
            "DepthToSpace", "SpaceToDepth", "ScatterND", "ScatterElements", "Cast", "OneHot", "Range",
            "ConstantOfShape", "NonZero", "Trilu",
        ),
        "data movement",
    ),
}  # fmt: skip

# Another view of the same bytes, or a number about them.
WITHOUT_WORK = frozenset(
    ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Shape", "Size", "Constant")
)

# Done by ONNX Runtime's CPU provider inside the convolution before it.
ACTIVATIONS_IN_CONVOLUTION = frozenset(("Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid"))
# And inside a product.
ACTIVATIONS_IN_PRODUCT = frozenset((*ACTIVATIONS_IN_CONVOLUTION - {"Clip"}, "Elu", "Selu", "Softplus", "Softsign"))

# Arithmetic for an element where it is more than one; MLAS's rational approximations count as many as they multiply.
FLOPS: Mapping[str, int] = {
    "Sigmoid": 20, "Tanh": 20, "Erf": 20, "Exp": 15, "Log": 15, "Gelu": 25, "QuickGelu": 21, "Softplus": 20, "Mish": 40,
    "Swish": 21, "Softmax": 18, "LogSoftmax": 20, "Pow": 30, "Sin": 20, "Cos": 20, "HardSwish": 4, "HardSigmoid": 3,
    "LayerNormalization": 8, "InstanceNormalization": 8, "GroupNormalization": 8, "Resize": 2,
}  # fmt: skip
