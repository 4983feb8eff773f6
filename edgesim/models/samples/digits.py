"""The sample model `digits`: a small network, trained on the handwritten digits that come with scikit-learn."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesim.errors import HostError
from edgesim.models.samples.convnets import OPSET

SEED = 0
TEST_IMAGES = 360
LOWEST_ACCURACY = 0.95


def digits() -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Train the network; return it with the images that the training did not see.

    The model's input is ``image`` float32 [batch, 8, 8] in 0..16 (ink, as in the data set), its output
    ``probabilities`` float32 [batch, 10]. The inputs are ``image`` float32 [360, 8, 8] and ``labels`` int64 [360].

    Raises:
        HostError: scikit-learn is not installed.
        ValueError: the trained network classifies fewer than 95 % of the unseen images correctly.
    """
    # Imported here: half a second that only the first use of this model needs.
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
        from sklearn.neural_network import MLPClassifier
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise HostError(
            "sample model digits: scikit-learn, which trains it, is not installed", fix="pip install scikit-learn"
        ) from error

    data = load_digits()
    images = data.images.astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        images, data.target, test_size=TEST_IMAGES, random_state=SEED, stratify=data.target
    )
    network = MLPClassifier(hidden_layer_sizes=(64,), max_iter=1000, random_state=SEED)
    # The threads of BLAS wait for each other in such small products, longer than the whole training takes on one core,
    # and their number changes the last digits of the weights.
    with threadpool_limits(1):
        network.fit(train_x.reshape(len(train_x), -1) / 16.0, train_y)
    accuracy = float(network.score(test_x.reshape(len(test_x), -1) / 16.0, test_y))
    if accuracy < LOWEST_ACCURACY:
        raise ValueError(f"digits: trained to an accuracy of {accuracy:.3f}, below {LOWEST_ACCURACY}")

    weights = {
        "ink": np.float32(1 / 16),
        "hidden_weight": network.coefs_[0].astype(np.float32),
        "hidden_bias": network.intercepts_[0].astype(np.float32),
        "class_weight": network.coefs_[1].astype(np.float32),
        "class_bias": network.intercepts_[1].astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["image", "ink"], ["scaled"]),
            helper.make_node("Flatten", ["scaled"], ["flat"]),
            helper.make_node("Gemm", ["flat", "hidden_weight", "hidden_bias"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["activated"]),
            helper.make_node("Gemm", ["activated", "class_weight", "class_bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ],
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="edgesim")
    model.ir_version = 8
    helper.set_model_props(
        model,
        {
            "trained_on": f"scikit-learn digits, {len(train_x)} images, seed {SEED}",
            "test_accuracy": f"{accuracy:.4f}",
            "test_images": str(TEST_IMAGES),
        },
    )
    return model, {"image": test_x, "labels": test_y.astype(np.int64)}
