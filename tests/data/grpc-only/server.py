"""Answer every inference with its inputs, over gRPC alone."""

import signal
from concurrent.futures import ThreadPoolExecutor

import grpc
from edgesim_server.rpc.messages import SERVICE, TYPES  # type: ignore[import-not-found] # edgesim.server, in the image


def infer(data: bytes, _: object) -> bytes:
    request = TYPES["ModelInferRequest"].FromString(data)
    answer = TYPES["ModelInferResponse"](model_name=request.model_name, model_version="1")
    for tensor, content in zip(request.inputs, request.raw_input_contents, strict=True):
        answer.outputs.add(name=f"{tensor.name}_out", datatype=tensor.datatype, shape=tensor.shape)
        answer.raw_output_contents.append(content)
    return bytes(answer.SerializeToString())


handlers = {
    "ServerReady": lambda *_: TYPES["ServerReadyResponse"](ready=True).SerializeToString(),
    "ModelInfer": infer,
}
server = grpc.server(ThreadPoolExecutor(4))
server.add_generic_rpc_handlers(
    [
        grpc.method_handlers_generic_handler(
            SERVICE, {name: grpc.unary_unary_rpc_method_handler(answer) for name, answer in handlers.items()}
        )
    ]
)
server.add_insecure_port("0.0.0.0:9000")
server.start()
signal.sigwait({signal.SIGTERM})
