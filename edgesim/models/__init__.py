"""Models: finds, describes and compares ONNX models, and builds sample models."""
