"""Train a small network on the handwritten digits that come with scikit-learn."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from step import Step

TEST_IMAGES = 360

step = Step()
seed = int(step.parameters["seed"])
data = load_digits()
images = data.images.astype(np.float32)
train_x, test_x, train_y, test_y = train_test_split(
    images, data.target, test_size=TEST_IMAGES, random_state=seed, stratify=data.target
)
network = MLPClassifier(hidden_layer_sizes=(int(step.parameters["hidden"]),), max_iter=1000, random_state=seed)
network.fit(train_x.reshape(len(train_x), -1) / 16, train_y)
answers = network.predict(test_x.reshape(TEST_IMAGES, -1) / 16)
accuracy = float(np.mean(answers == test_y))
print(f"accuracy {accuracy:.4f} of {TEST_IMAGES} images that the training did not see")

hidden, classes = network.coefs_
with step.outputs["weights"].open("wb") as file:
    np.savez(
        file,
        hidden_weight=hidden.astype(np.float32),
        hidden_bias=network.intercepts_[0].astype(np.float32),
        class_weight=classes.astype(np.float32),
        class_bias=network.intercepts_[1].astype(np.float32),
    )
with step.outputs["test_images"].open("wb") as file:
    np.savez(file, image=test_x, labels=test_y.astype(np.int64))
rows = confusion_matrix(test_y, answers).tolist()
step.describe(
    weights={"framework": "scikit-learn", "seed": seed},
    test_images={"images": TEST_IMAGES},
    metrics={"accuracy": accuracy, "iterations": network.n_iter_, "loss": float(network.loss_)},
    confusion={
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": str(digit)} for digit in range(10)],
            "rows": [{"row": row} for row in rows],
        }
    },
)
