# Measure the model on a board, then judge the result: the step ends with the gate's exit code.
set -e
edgesim run jetson-nano /work/models/digits/1/model.onnx --execution emulated --input /work/test.npz --requests 20 \
  -o /work/result.json
exec edgesim gate /work/result.json --rules /edgesim-gate.yaml --junit /work/gate.xml
