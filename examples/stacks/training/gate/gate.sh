# Measure the model on a board, then judge the result: the step ends with the gate's exit code.
set -e
edgesim run jetson-nano models/digits/1/model.onnx --execution emulated --input test.npz --requests 20 \
  -o result.json
exec edgesim gate result.json --rules /edgesim-gate.yaml --junit gate.xml
