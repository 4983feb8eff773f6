"""The model server: what runs inside the container, and imports nothing else of edgesim.

ONNX Runtime behind the Open Inference Protocol over HTTP. It is copied into the image by itself, as `edgesim_server`.
"""
