"""What an .onnx that judges may hold: the fields of stackgan/foreign_onnx.py, these operations."""

from stackgan.foreign_onnx import MAX_FIELDS, MODEL  # noqa: F401

# Those of convolutional networks. None runs another graph, repeats its input or takes a path.
OPERATIONS = frozenset('''
    Add AveragePool BatchNormalization Cast Clip Concat Constant Conv Div Dropout Elu Exp Flatten
    Gather Gemm GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Identity LeakyRelu LRN MatMul
    Max MaxPool Min Mul Neg PRelu Pad Pow ReduceMean Relu Reshape Shape Sigmoid Slice Softmax Sqrt
    Squeeze Sub Sum Tanh Transpose Unsqueeze
    '''.split())
